"""Objectives whose curves depend on everything that a training carries along. Loaded by training processes."""

from __future__ import annotations

import math
import os
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pandas as pd

from worker.objectives.protocol import Params

NUM_ROWS = 150


class Wave:
    """Learns a noisy wave with dropout, batch normalisation and momentum; 5 batches, the last one smaller."""

    batch_size: ClassVar = 32

    def __init__(self, *, data_seed: int) -> None:
        rng = np.random.default_rng(data_seed)
        self.x = rng.uniform(-2, 2, size=(NUM_ROWS + 50, 4)).astype("float32")
        self.y = (np.sin(self.x.sum(axis=1)) + rng.normal(0, 0.3, NUM_ROWS + 50)).astype("float32")

    def optimizer(self) -> Any:
        return keras.optimizers.Adam(0.02)

    def layers(self) -> list[Any]:
        hidden = [keras.layers.Dense(16, activation="tanh"), keras.layers.BatchNormalization()]
        return [keras.Input((4,)), *hidden, keras.layers.Dropout(0.3), keras.layers.Dense(1)]

    def build(self, params: Params) -> Any:
        model = keras.Sequential(self.layers())
        model.compile(optimizer=self.optimizer(), loss="mse", metrics=["mae"])
        return model

    def data(self, params: Params) -> Any:
        return (self.x[:NUM_ROWS], self.y[:NUM_ROWS]), (self.x[NUM_ROWS:], self.y[NUM_ROWS:])

    def fit_options(self, params: Params) -> dict[str, Any]:
        return {"batch_size": self.batch_size}


class Noise(keras.layers.Layer):
    """Adds noise drawn without a seed of its own."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs + 0.2 * keras.random.normal(keras.ops.shape(inputs)) if training else inputs


class Noisy(Wave):
    """Nesterov's momentum, a cosine over the steps, averaged weights, noise from the generator of all layers."""

    def layers(self) -> list[Any]:
        first, *others = super().layers()
        return [first, Noise(), *others]

    def optimizer(self) -> Any:
        rate = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=40)
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, use_ema=True, ema_overwrite_frequency=7)


class Plateau(Wave):
    """Halves its rate again and again: after the first epoch it never gets as much better as is wanted."""

    def fit_options(self, params: Params) -> dict[str, Any]:
        plateau = keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.5, min_delta=0.2, cooldown=1)
        return {"batch_size": 32, "callbacks": [plateau]}


class Late(Wave):
    """Is built by its first batch."""

    def layers(self) -> list[Any]:
        return super().layers()[1:]


class Drift(keras.callbacks.Callback):
    """A user's own callback: changes the rate by what it has seen and by chance, and tells its state."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []
        self.mean = np.zeros(2)

    def on_train_begin(self, logs: object = None) -> None:
        self.seen, self.mean = [], np.zeros(2)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.seen.append((logs or {})["loss"])
        self.mean = 0.5 * self.mean + [self.seen[-1], math.sqrt(epoch)]
        chance = random.random() + np.random.random()  # noqa: NPY002 - as users do
        self.model.optimizer.learning_rate = 0.01 / (1 + self.mean.sum() + len(self.seen) + chance)

    def get_state(self) -> dict[str, Any]:
        return {"seen": self.seen, "mean": self.mean}

    def set_state(self, state: dict[str, Any]) -> None:
        self.seen, self.mean = state["seen"], state["mean"]


class Drifting(Wave):
    """Is driven by a callback with a state."""

    def fit_options(self, params: Params) -> dict[str, Any]:
        return {"batch_size": 32, "callbacks": [Drift()]}


class Weighted(Wave):
    """Gives weights to classes and takes three of five steps at once: its rows are Keras's business."""

    def build(self, params: Params) -> Any:
        model = super().build(params)
        model.compile(optimizer=self.optimizer(), loss="mse", steps_per_execution=3)
        return model

    def fit_options(self, params: Params) -> dict[str, Any]:
        return {"batch_size": 32, "class_weight": {0: 1.0, 1: 3.0, -1: 0.5}}


class Frames(Wave):
    """Hands out tables and weights of rows, and takes its rate from the epoch and the rate before."""

    def data(self, params: Params) -> Any:
        (x, y), validation = super().data(params)
        return (pd.DataFrame(x), pd.Series(y), np.linspace(0.5, 2, NUM_ROWS)), validation

    def fit_options(self, params: Params) -> dict[str, Any]:
        def rate(epoch: int, before: float) -> float:
            return before * (0.9 if epoch % 2 else 1.05)

        return {"batch_size": 32, "callbacks": [keras.callbacks.LearningRateScheduler(rate)]}


class Named(Wave):
    """Has two inputs by name and steps that are taken five at once."""

    def build(self, params: Params) -> Any:
        left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
        hidden = keras.layers.Dropout(0.2)(keras.layers.Dense(8, "relu")(keras.ops.concatenate([left, right], axis=-1)))
        model = keras.Model({"left": left, "right": right}, keras.layers.Dense(1)(hidden))
        model.compile(optimizer="adam", loss="mse", steps_per_execution=5)
        return model

    def data(self, params: Params) -> Any:
        sets = super().data(params)
        return tuple(({"left": x[:, :2].astype("float64"), "right": x[:, 2:]}, y) for x, y in sets)


class Batches(keras.utils.PyDataset):
    """The rows in an order of their own."""

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x) // 25

    def __getitem__(self, number: int) -> Any:
        rows = slice(number * 25, (number + 1) * 25)
        return self.x[rows], self.y[rows]


class Streamed(Late):
    """Brings its own batches in a fixed order, for a model that is built by the first of them."""

    def data(self, params: Params) -> Any:
        train, validation = super().data(params)
        return Batches(*train), validation

    def fit_options(self, params: Params) -> dict[str, Any]:
        return {"shuffle": False}


class Open(Wave):
    """Lets its model be looked at after the training."""

    models: ClassVar[list[Any]] = []

    def build(self, params: Params) -> Any:
        model = super().build(params)
        self.models.append(model)
        return model


class Opaque(Wave):
    """Has a callback with a state that no checkpoint can hold."""

    def fit_options(self, params: Params) -> dict[str, Any]:
        class Secretive(keras.callbacks.Callback):
            def get_state(self) -> dict[str, Any]:
                return {"lock": object()}

            def set_state(self, state: dict[str, Any]) -> None:
                raise AssertionError("nothing was kept")

        return {"batch_size": 32, "callbacks": [Secretive()]}


class Twofold(Wave):
    """Has a model with an optimizer that Keras knows nothing of."""

    def build(self, params: Params) -> Any:
        model = super().build(params)
        model.second_optimizer = keras.optimizers.Adam()
        return model


class Shot(Wave):
    """Is killed as its fifth epoch begins, the first time."""

    def __init__(self, *, data_seed: int, config: dict[str, Any]) -> None:
        super().__init__(data_seed=data_seed)
        self.traces = Path(config["traces"])

    def fit_options(self, params: Params) -> dict[str, Any]:
        def shoot(epoch: int, _logs: object) -> None:
            if epoch == 4 and not self.traces.exists():
                self.traces.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        return {"batch_size": 32, "callbacks": [keras.callbacks.LambdaCallback(on_epoch_begin=shoot)]}
