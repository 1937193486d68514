"""An objective to which everything happens that can: loaded by the slots of a real worker."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

_HOARD_BYTES = 256 * 1024**2


class _Second(keras.callbacks.Callback):
    """Lets something happen at the beginning of the second epoch."""

    def __init__(self, happen: Callable[[Any], None]) -> None:
        super().__init__()
        self._happen = happen

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self._happen(self.model)


class Mishaps:
    """A straight line through 32 points, and in the second epoch what its parameter says."""

    name = "mishaps"
    # One that hangs keeps its slot until its epoch has lasted too long: the hog, which comes next, is not alone.
    space = {  # noqa: RUF012  # a plain dictionary, as users write it
        "mishap": {
            "type": "categorical",
            "choices": ["none", "exception", "calm", "hang", "hog", "quiet", "full_disk", "nan", "killed", "fine"],
        }
    }

    def __init__(self) -> None:
        self._hoard: list[Any] = []

    def build(self, params: dict[str, Any]) -> Any:
        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
        model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
        return model

    def data(self, params: dict[str, Any]) -> tuple[Any, Any]:
        x = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
        y = x @ np.array([[2.0], [-1.0]], dtype="float32")
        return (x[:32], y[:32]), (x[32:], y[32:])

    def fit_options(self, params: dict[str, Any]) -> dict[str, Any]:
        happen = getattr(self, f"_{params['mishap']}", None)
        return {} if happen is None else {"callbacks": [_Second(happen)]}

    def _exception(self, _model: Any) -> None:
        raise ValueError("the second epoch is not to my taste")

    def _killed(self, _model: Any) -> None:
        sys.stderr.write("these are the last words\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    def _hog(self, _model: Any) -> None:
        while True:
            # Pages that are never touched take no memory.
            self._hoard.append(np.ones(_HOARD_BYTES, dtype=np.uint8))

    def _full_disk(self, _model: Any) -> None:
        with Path("/dev/full").open("w", encoding="utf-8") as file:
            file.write("a note on how it went")

    def _nan(self, model: Any) -> None:
        model.optimizer.learning_rate = float("inf")

    def _hang(self, _model: Any) -> None:
        threading.Event().wait()
