"""What a training function gets: its configuration, and how it reports, stops and keeps checkpoints."""

from __future__ import annotations

import errno
import math
import operator
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from caviar.contract.messages import Assignment, TrainingError
from caviar.contract.space import ParamValue
from caviar.contract.states import Outcome
from caviar.contract.study import Metric
from worker.forms.course import Course, Ending
from worker.objectives.errors import TrialOver

_SEEDS = 2**32
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_METRIC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,127}")


class Trial:
    """One trial in the hands of a training function.

    ```python
    def train(trial):
        model = make(trial.params["units"], seed=trial.seed)
        if trial.checkpoint:
            model.load(trial.checkpoint / "model.bin")
        for epoch in trial.epochs():
            loss = model.train_one_epoch()
            if trial.should_checkpoint(epoch):
                with trial.save_checkpoint(epoch) as folder:
                    model.save(folder / "model.bin")
            trial.report(epoch, {"val_loss": loss})
            if trial.should_stop():
                break
    ```

    Attributes:
        params: The configuration: the natural value of every parameter that applies.
        config: The fixed options of the study.
        number: Number of the trial within its study, from 0.
        seed: For all that is random in the training, below 2**32; the same for every attempt. Python's, NumPy's and
            Keras's generators are seeded with it before the function is called.
        data_seed: For the split of the data, below 2**32; the same for every trial of the study.
        data_dir: The worker's data folder.
        metric: What the study compares, with `name` and `direction`.
        first_epoch: The epoch to begin with, from 1; later if the trial goes on from a checkpoint.
        max_epochs: The last epoch.
        checkpoint: A folder with the files that an earlier attempt saved after epoch `first_epoch - 1`; None to begin
            anew. It is removed when the function ends.
    """

    params: Mapping[str, ParamValue]
    config: Mapping[str, Any]
    number: int
    seed: int
    data_seed: int
    data_dir: Path
    metric: Metric
    first_epoch: int
    max_epochs: int
    checkpoint: Path | None

    def __init__(self, assignment: Assignment, course: Course, *, data_dir: Path, checkpoint: Path | None) -> None:
        """Begin one attempt.

        Args:
            assignment: What to train.
            course: Takes the epochs, and knows when they are over.
            data_dir: Folder of the data files that studies may name.
            checkpoint: Folder with the files of the former attempt.
        """
        self.params = dict(assignment.params)
        self.config = dict(assignment.objective.config)
        self.number = assignment.number
        self.seed = assignment.seed % _SEEDS
        self.data_seed = assignment.data_seed % _SEEDS
        self.data_dir = data_dir
        self.metric = assignment.metric
        self.first_epoch = assignment.first_epoch
        self.max_epochs = assignment.max_epochs
        self.checkpoint = checkpoint
        self._course = course

    def epochs(self) -> range:
        """The epochs to train, from `first_epoch` to `max_epochs`."""
        return range(self.first_epoch, self.max_epochs + 1)

    def report(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Tell the metrics of a finished epoch; never waits for the network.

        Args:
            epoch: The number of the epoch; the first report is that of `first_epoch`, and each next one is one more.
            metrics: Numbers by name, the study's metric among them, and the one that early stopping watches. NumPy's
                numbers and tensors of one number are numbers too.
                If the study's metric or `loss` is NaN or infinite, the trial has diverged: it ends, and nothing of this
                epoch is told. Other metrics that are not finite are left out.
        Raises:
            ValueError: Another epoch was due, or a metric is missing or has an impossible name.
            TypeError: The epoch is no whole number, or a metric is no number.
            TrialOver: The trial is over already: `should_stop()` is true. Let it pass.
        """
        if self._course.ending() is not None:
            raise TrialOver
        number = self._checked_epoch(epoch, "report")
        values = {name: _number(name, value) for name, value in metrics.items()}
        for name in self._course.required:
            if name not in values:
                raise ValueError(
                    f"report({number}, …) received the metrics {', '.join(values) or 'none'}, expected {name} among "
                    "them; report it after every epoch, or change the study"
                )
        for name in (self.metric.name, "loss"):
            if not math.isfinite(values.get(name, 0.0)):
                self._course.end(_diverged(name, values[name], number))
                return
        self._course.take(number, values)

    def should_stop(self) -> bool:
        """Whether the function is to return now; never waits.

        It is true after the last epoch, when early stopping or the time limit ends the trial, when it has diverged, and
        when the service or the worker's operator wants it to end. Ask as often as you like, at least after each epoch.
        An epoch that is broken off is not to be reported.
        """
        return self._course.ending() is not None

    def should_checkpoint(self, epoch: int) -> bool:
        """Whether a checkpoint of this epoch is wanted, when it has ended and is about to be reported."""
        return epoch < self.max_epochs and self._course.is_due(epoch)

    @contextmanager
    def save_checkpoint(self, epoch: int) -> Iterator[Path]:
        """Keep all that the training needs to go on after this epoch, in another process or on another machine.

        Args:
            epoch: The one that is reported next.
        Yields:
            An empty folder. What is in it at the end of the `with` block becomes the checkpoint of this epoch, complete
            before its report is sent. If the disk is full there is no checkpoint and the training goes on.
        Raises:
            ValueError: Another epoch is due.
        """
        number = self._checked_epoch(epoch, "save_checkpoint")
        folder = tempfile.TemporaryDirectory(prefix="caviar-", ignore_cleanup_errors=True)
        try:
            yield Path(folder.name)
        except OSError as error:
            folder.cleanup()
            if error.errno not in _FULL:
                raise
            self._course.miss(number, error)
        except BaseException:
            folder.cleanup()
            raise
        else:
            self._course.keep(number, folder)

    def _checked_epoch(self, epoch: Any, method: str) -> int:
        try:
            number = operator.index(epoch)
        except TypeError:
            raise TypeError(f"{method} received the epoch {epoch!r}, expected a whole number") from None
        if isinstance(epoch, bool) or number != self._course.next_epoch:
            raise ValueError(
                f"{method} received epoch {epoch!r}, expected {self._course.next_epoch}: epochs begin with "
                f"trial.first_epoch, which is {self.first_epoch} here, and each is reported once, in order"
            )
        return number


def _number(name: Any, value: Any) -> float:
    if not isinstance(name, str) or not _METRIC_NAME.fullmatch(name):
        raise ValueError(
            f"report received the metric name {name!r}, expected a letter or '_', then at most 127 letters, digits and "
            "any of _ . / -"
        )
    if isinstance(value, str):
        raise TypeError(f"report received {name}={value!r}, expected a number")
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"report received {name}={value!r}, expected a number") from error


def _diverged(name: str, value: float, epoch: int) -> Ending:
    message = f"{name} was {value} in epoch {epoch}"
    return Ending(Outcome.DIVERGED, TrainingError(kind="Diverged", message=message))
