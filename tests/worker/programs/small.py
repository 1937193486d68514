"""Small models, data and trainings for the tests of programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from worker import chance, looping
from worker.programs.cache import PROGRAMS

NUM_ROWS = 70
_RANDOM = np.random.default_rng(5)
X = _RANDOM.normal(size=(NUM_ROWS + 30, 6)).astype("float32")
Y = np.digitize(X.sum(axis=1), [-1.5, 1.5]).astype("int32")
TRAIN, VALIDATION = (X[:NUM_ROWS], Y[:NUM_ROWS]), (X[NUM_ROWS:], Y[NUM_ROWS:])

Curve = dict[str, list[float]]


def network(
    optimizer: Any = None,
    *,
    units: int = 8,
    dropout: float = 0.0,
    penalty: Any = None,
    normalize: bool = False,
    metrics: Sequence[Any] = ("accuracy",),
    **compiled: Any,
) -> Any:
    """A compiled classifier of three classes."""
    layers: list[Any] = [keras.Input((6,)), keras.layers.Dense(units, kernel_regularizer=penalty)]
    layers += [keras.layers.BatchNormalization()] if normalize else []
    layers += [keras.layers.Activation("relu")]
    layers += [keras.layers.Dropout(dropout)] if dropout else []
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax", kernel_regularizer=penalty)])
    model.compile(
        optimizer=optimizer or keras.optimizers.Adam(0.01),
        loss="sparse_categorical_crossentropy",
        metrics=list(metrics),
        **compiled,
    )
    return model


def trained(
    build: Callable[[], Any],
    *,
    is_on: bool = True,
    seed: int = 7,
    first_epoch: int = 1,
    max_epochs: int = 4,
    callbacks: Sequence[Any] = (),
    train: Any = TRAIN,
    validation: Any = VALIDATION,
    **options: Any,
) -> tuple[Any, Curve]:
    """A model after its training, and the curve of every metric."""
    PROGRAMS.is_on = is_on
    chance.begin(seed)
    model = build()
    looping.fit(
        model,
        train,
        validation,
        options={"batch_size": 16, **options},
        callbacks=[chance.EpochSeeds(seed), *callbacks],
        seed=seed,
        first_epoch=first_epoch,
        max_epochs=max_epochs,
    )
    curve: Curve = model.history.history
    return model, curve


def assert_equal(ours: tuple[Any, Curve], plain: tuple[Any, Curve]) -> None:
    """Curves and all variables are the same."""
    assert list(ours[1]) == list(plain[1])
    for name, values in plain[1].items():
        np.testing.assert_allclose(ours[1][name], values, rtol=1e-6, err_msg=name)
    for one, other in zip(variables(ours[0]), variables(plain[0]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def variables(model: Any) -> list[Any]:
    """All that a training changes."""
    return [keras.ops.convert_to_numpy(variable) for variable in (*model.variables, *model.optimizer.variables)]
