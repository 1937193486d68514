"""Keras callbacks of a trial: Keras's own, made from the study, and the one that reports."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras

from caviar.contract.states import Outcome
from caviar.contract.study import EarlyStopping, Metric

_METRIC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,127}")
_MODES: dict[str, Literal["min", "max"]] = {"minimize": "min", "maximize": "max"}


@dataclass
class StopRequest:
    """Whether a training was asked to end; set by one thread, read by another.

    Attributes:
        wanted: None to go on, `epoch` to end after the current epoch, `batch` after the current batch.
    """

    wanted: Literal["epoch", "batch"] | None = None


@dataclass(frozen=True)
class Verdict:
    """Why the reporter ended a training.

    Attributes:
        outcome: None if it was asked to stop.
        kind: Short name of the reason, for people and programs.
        message: One line for people.
    """

    outcome: Outcome | None
    kind: str
    message: str


class EpochReporter(keras.callbacks.Callback):
    """Sends every epoch's metrics, and ends the training when it is asked to, diverges or exceeds its time.

    It must be the last callback, to see what the others add to the metrics. It never raises and never waits.

    Attributes:
        verdict: Why it ended the training; None if it did not.
        is_cut: Whether the present epoch was cut short.
        async_safe: Tells Keras that batches need not wait for this callback.
    """

    async_safe = True

    def __init__(
        self,
        send: Callable[[int, dict[str, float], float], None],
        *,
        metric: str,
        required: Collection[str],
        stop: StopRequest,
        started: float,
        max_seconds: float | None,
    ) -> None:
        """Prepare for one call of `fit`.

        Args:
            send: Takes the absolute epoch from 1, the finite metrics and the seconds since `started`.
            metric: The study's metric.
            required: Metrics without which the training makes no sense, the study's metric among them.
            stop: Where others ask for the end.
            started: Reading of `time.perf_counter` at the start of the attempt.
            max_seconds: Seconds after `started` at which to stop; None for no limit.
        """
        super().__init__()
        self.verdict: Verdict | None = None
        self._send = send
        self._metric = metric
        self._required = required
        self._stop = stop
        self._started = started
        self._deadline = math.inf if max_seconds is None else started + max_seconds
        self.is_cut = False

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Cut the epoch short when it is urgent."""
        if self._stop.wanted == "batch" or time.perf_counter() >= self._deadline:
            self.is_cut = True
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report a whole epoch; of an epoch that was cut short, nothing is reported."""
        if self.is_cut:
            self._end_cut()
            return
        values = {name: float(value) for name, value in (logs or {}).items()}
        if missing := [name for name in self._required if name not in values]:
            self._end(
                Outcome.FAILED,
                "MissingMetric",
                f"expected the metric {missing[0]} after every epoch, received "
                f"{', '.join(sorted(values)) or 'none'}; compile the model with it, or change the study",
            )
            return
        for name in (self._metric, "loss"):
            if not math.isfinite(values.get(name, 0.0)):
                self._end(Outcome.DIVERGED, "Diverged", f"{name} was {values[name]} in epoch {epoch + 1}")
                return
        # What is asked for from now on is heard in the next epoch: the checkpoint of this one is decided on.
        is_asked = self._stop.wanted is not None
        self._send(epoch + 1, _reportable(values), time.perf_counter() - self._started)
        # A training that ends here anyway has reached its own end.
        if is_asked and not self.is_over(epoch + 1):
            self._end(None, "stopped", "asked to stop")

    def is_over(self, epoch: int) -> bool:
        """Whether the training ends by itself after this epoch, counted from 1."""
        return bool(self.model.stop_training) or epoch >= self.params["epochs"]

    def _end_cut(self) -> None:
        if self._stop.wanted == "batch":
            self._end(None, "stopped", "asked to stop")
        else:
            self._end(Outcome.COMPLETE, "time_limit", "the time limit of the trial was reached")

    def _end(self, outcome: Outcome | None, kind: str, message: str) -> None:
        self.verdict = Verdict(outcome, kind, message)
        self.model.stop_training = True


def _reportable(values: Mapping[str, float]) -> dict[str, float]:
    # The wire takes no other numbers and names; what it does not take is of use to Keras's own callbacks alone.
    return {name: value for name, value in values.items() if math.isfinite(value) and _METRIC_NAME.fullmatch(name)}


def early_stopping(spec: EarlyStopping, metric: Metric) -> keras.callbacks.EarlyStopping:
    """Keras's callback as the study wants it."""
    monitor = spec.monitor or metric.name
    mode = _MODES[metric.direction] if spec.mode == "auto" and monitor == metric.name else spec.mode
    return keras.callbacks.EarlyStopping(
        monitor=monitor,
        min_delta=spec.min_delta,
        patience=spec.patience,
        mode=mode,
        baseline=spec.baseline,
        restore_best_weights=spec.restore_best_weights,
        start_from_epoch=spec.start_from_epoch,
    )
