"""When to stop a training by its own curve, by the rule of Keras's `EarlyStopping`, without Keras."""

from __future__ import annotations

from caviar.contract.study import EarlyStopping, Metric
from worker.failures import NotTrainable


class Patience:
    """Watches one metric from epoch to epoch.

    Source: keras.callbacks.EarlyStopping, on_epoch_end; compared with it by the tests.

    Attributes:
        monitor: The metric that it watches.
        best: The best value so far; None before the first.
        wait: Epochs since the last gain.
    """

    def __init__(self, spec: EarlyStopping, metric: Metric) -> None:
        """Begin to watch.

        Raises:
            NotTrainable: It cannot be told whether a gain is upwards or downwards.
        """
        self.monitor = spec.monitor or metric.name
        self.best: float | None = None
        self.wait = 0
        self._spec = spec
        self._is_min = _is_min(spec, metric, self.monitor)

    def is_over(self, epoch: int, value: float) -> bool:
        """Whether the training is to stop.

        Args:
            epoch: Completed epochs, from 1; each is told once.
            value: Of the metric.
        """
        if epoch - 1 < self._spec.start_from_epoch:
            return False
        self.wait += 1
        if self._is_gain(value, self.best):
            self.best = value
            if self._is_gain(value, self._spec.baseline):
                self.wait = 0
            return False
        return self.wait >= self._spec.patience and epoch > 1

    def _is_gain(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return True
        delta = self._spec.min_delta
        return value + delta < reference if self._is_min else value - delta > reference


def _is_min(spec: EarlyStopping, metric: Metric, monitor: str) -> bool:
    if spec.mode != "auto":
        return spec.mode == "min"
    if monitor == metric.name:
        return metric.direction == "minimize"
    if monitor.removeprefix("val_") == "loss":
        return True
    raise NotTrainable(
        f"early stopping watches {monitor}, of which it is not known whether more is better; set its mode to min or max"
    )
