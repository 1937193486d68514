"""Objectives of the tests: a straight line, and everything that can go wrong with one. Loaded by training processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any, ClassVar

import keras
import numpy as np

from worker.objectives.errors import Infeasible
from worker.objectives.protocol import Params


class Line:
    """Learns a straight line through 32 points."""

    space: ClassVar = {"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "scale": "log"}}

    def __init__(self, *, config: dict[str, Any], data_seed: int) -> None:
        self._config = config
        self._rng = np.random.default_rng(data_seed)

    def build(self, params: Params) -> Any:
        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
        rate = float(params.get("learning_rate", 0.05))
        model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
        return model

    def data(self, params: Params) -> tuple[Any, Any]:
        x = self._rng.normal(size=(40, 2)).astype("float32")
        y = x @ np.array([[2.0], [-1.0]], dtype="float32")
        return (x[:32], y[:32]), (x[32:], y[32:])

    def fit_options(self, params: Params) -> dict[str, Any]:
        return {"batch_size": 8}


class Watched(Line):
    """Something happens at the end of the second epoch."""

    def happen(self) -> None:
        raise NotImplementedError

    def fit_options(self, params: Params) -> dict[str, Any]:
        def watch(epoch: int, _logs: object) -> None:
            if epoch == 1:
                self.happen()

        return {"batch_size": 8, "callbacks": [keras.callbacks.LambdaCallback(on_epoch_end=watch)]}


class Dying(Watched):
    """Is killed."""

    def happen(self) -> None:
        sys.stderr.write("these are the last words\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)


class Talking(Watched):
    """Writes to its output."""

    def happen(self) -> None:
        sys.stdout.write("hear me out\n")


class Swelling(Watched):
    """Takes a gigabyte of real memory and keeps it."""

    def happen(self) -> None:
        kept = np.ones(2**27)
        threading.Event().wait()
        del kept


class Exiting(Watched):
    """Takes its process along."""

    def happen(self) -> None:
        os._exit(3)


class Stuck(Watched):
    """Never comes to an end, and does not hear."""

    def happen(self) -> None:
        threading.Event().wait()


class Hungry(Watched):
    """Asks for more memory than there is."""

    def happen(self) -> None:
        raise MemoryError("no room for the weights")


class Quitting(Line):
    """Leaves the program, or so it thinks."""

    def build(self, params: Params) -> Any:
        sys.exit("enough")


class Raising(Line):
    """Has a bug."""

    def build(self, params: Params) -> Any:
        raise ValueError("units must be at least 1")


class Impossible(Line):
    """Knows that this configuration cannot work."""

    def build(self, params: Params) -> Any:
        raise Infeasible("a line has no layers")


class Unmeasured(Line):
    """Has no validation set, so there is no val_loss."""

    def data(self, params: Params) -> tuple[Any, Any]:
        return super().data(params)[0], None
