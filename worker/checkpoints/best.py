"""The weights of the best epoch: held in memory during a training, in a file at its end."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from caviar.contract.study import Metric
from worker.checkpoints.snapshot import numbers


class BestWeights(keras.callbacks.Callback):
    """Holds the weights of the best epoch so far, of this attempt and of those it goes on from.

    Attributes:
        epoch: The best epoch, from 1; 0 before the first one that counts.
        async_safe: Tells Keras that batches need not wait for this callback.
    """

    async_safe = True

    def __init__(self, metric: Metric, *, is_wanted: bool, is_cut: Callable[[], bool]) -> None:
        """Prepare for one call of `fit`.

        Args:
            metric: What the best epoch is judged by.
            is_wanted: Whether anybody may ask for the weights; else nothing is held, and the callback is there only
                because checkpoints of one trial have the states of the same callbacks everywhere.
            is_cut: Whether the present epoch was cut short: it is not reported, so it is no trial's best.
        """
        super().__init__()
        self.epoch = 0
        self._metric = metric
        self._is_wanted = is_wanted
        self._is_cut = is_cut
        self._value: float | None = None
        self._weights: list[NDArray[Any]] | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Take a copy of the weights at a gain; of equal epochs the first one is the best."""
        value = (logs or {}).get(self._metric.name)
        if not self._is_wanted or value is None or self._is_cut():
            return
        if self._is_gain(float(value)):
            self.epoch, self._value = epoch + 1, float(value)
            self._weights = numbers(self.model.variables)

    def get_state(self) -> dict[str, Any]:
        """The best epoch, its value, and its weights."""
        return {"epoch": self.epoch, "value": self._value, "weights": self._weights}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of another attempt."""
        self.epoch, self._value, self._weights = state["epoch"], state["value"], state["weights"]

    def write(self, model: Any, paths: Sequence[Path]) -> None:
        """Put the best weights into files that `load_weights` of a freshly built model takes; the model stays as it is.

        Args:
            model: The model of the training, or one that was built alike.
            paths: Files that end in `.weights.h5`; each is there as a whole or not at all.
        Raises:
            OSError: The disk is full or cannot be written; nothing is left behind.
        """
        if self._weights is None or not paths:
            return
        with _holding(model, self._weights), _without_state_of_optimizer(model):
            for path in paths:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                draft = path.with_name(f".{secrets.token_hex(8)}-{path.name}")
                try:
                    model.save_weights(draft)
                    _sync(draft)
                    draft.replace(path)
                finally:
                    draft.unlink(missing_ok=True)

    def _is_gain(self, value: float) -> bool:
        if not np.isfinite(value):
            return False
        if self._value is None:
            return True
        return value < self._value if self._metric.direction == "minimize" else value > self._value


@contextmanager
def _holding(model: Any, weights: Sequence[NDArray[Any]]) -> Iterator[None]:
    variables = list(model.variables)
    former = numbers(variables)
    _assign(variables, weights)
    try:
        yield
    finally:
        _assign(variables, former)


def _assign(variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


@contextmanager
def _without_state_of_optimizer(model: Any) -> Iterator[None]:
    # The moments of the last step do not belong to the weights of the best epoch, and would triple the file. The step
    # and the rate of an optimizer that is not built are there, so that a fresh model takes the file without a warning.
    optimizer = model.optimizer
    if optimizer is None:
        yield
        return
    has_rate = any(variable.name == "learning_rate" for variable in optimizer.variables)
    rate = float(optimizer.learning_rate) if has_rate else keras.optimizers.schedules.ExponentialDecay(1.0, 1, 1.0)
    model.optimizer = keras.optimizers.SGD(rate)
    try:
        yield
    finally:
        model.optimizer = optimizer


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
