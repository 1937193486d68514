"""A training by a program is that of plain `fit`, the first of its architecture and those that reuse it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from keras import optimizers, regularizers
from keras.optimizers import schedules

from tests.worker.programs.small import NUM_ROWS, TRAIN, VALIDATION, X, Y, assert_equal, network, trained
from worker.objectives.schedules import WarmUp
from worker.programs.cache import Programs

# Each with two settings of its knobs: the second training reuses the program of the first.
OPTIMIZERS: dict[str, list[Callable[[], Any]]] = {
    "sgd": [lambda: optimizers.SGD(0.1), lambda: optimizers.SGD(0.03)],
    "momentum": [lambda: optimizers.SGD(0.1, momentum=0.9), lambda: optimizers.SGD(0.03, momentum=0.5)],
    "nesterov": [
        lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        lambda: optimizers.SGD(0.03, momentum=0.37, nesterov=True),
    ],
    "adagrad": [
        lambda: optimizers.Adagrad(0.1, initial_accumulator_value=0.3),
        lambda: optimizers.Adagrad(0.03, epsilon=1e-3),
    ],
    "adadelta": [lambda: optimizers.Adadelta(1.0), lambda: optimizers.Adadelta(0.5, rho=0.7, epsilon=1e-4)],
    "rmsprop": [
        lambda: optimizers.RMSprop(0.01, rho=0.83, momentum=0.3, centered=True),
        lambda: optimizers.RMSprop(0.02, rho=0.97, momentum=0.6, centered=True, epsilon=1e-3),
    ],
    "adam": [lambda: optimizers.Adam(0.01), lambda: optimizers.Adam(0.03, beta_1=0.77, beta_2=0.95, epsilon=1e-3)],
    "amsgrad": [
        lambda: optimizers.Adam(0.01, amsgrad=True),
        lambda: optimizers.Adam(0.03, amsgrad=True, beta_1=0.7),
    ],
    "adamw": [lambda: optimizers.AdamW(0.01), lambda: optimizers.AdamW(0.03, weight_decay=0.1, beta_1=0.6)],
    "nadam": [lambda: optimizers.Nadam(0.01), lambda: optimizers.Nadam(0.03, beta_1=0.7, beta_2=0.97, epsilon=1e-3)],
    "adamax": [lambda: optimizers.Adamax(0.01), lambda: optimizers.Adamax(0.03, beta_1=0.7, beta_2=0.97)],
    "lion": [lambda: optimizers.Lion(0.003), lambda: optimizers.Lion(0.01, beta_1=0.7, beta_2=0.87)],
    "decay": [lambda: optimizers.SGD(0.1, weight_decay=0.01), lambda: optimizers.SGD(0.1, weight_decay=0.3)],
    "clipnorm": [lambda: optimizers.Adam(0.01, clipnorm=0.1), lambda: optimizers.Adam(0.01, clipnorm=0.7)],
    "clipvalue": [lambda: optimizers.SGD(0.1, clipvalue=0.01), lambda: optimizers.SGD(0.1, clipvalue=0.07)],
    "global_clipnorm": [
        lambda: optimizers.SGD(0.1, global_clipnorm=0.1),
        lambda: optimizers.SGD(0.1, global_clipnorm=0.7),
    ],
}
SCHEDULES: dict[str, list[Callable[[], Any]]] = {
    "exponential": [
        lambda: schedules.ExponentialDecay(0.1, 4, 0.7, staircase=True),
        lambda: schedules.ExponentialDecay(0.2, 5, 0.9, staircase=True),
    ],
    "inverse": [lambda: schedules.InverseTimeDecay(0.1, 4, 0.7), lambda: schedules.InverseTimeDecay(0.2, 5, 0.2)],
    "cosine": [lambda: schedules.CosineDecay(0.1, 15, alpha=0.1), lambda: schedules.CosineDecay(0.2, 12, alpha=0.3)],
    "warm cosine": [
        lambda: schedules.CosineDecay(0.01, 15, warmup_target=0.1, warmup_steps=4),
        lambda: schedules.CosineDecay(0.02, 12, warmup_target=0.3, warmup_steps=7),
    ],
    "restarts": [
        lambda: schedules.CosineDecayRestarts(0.1, 4, t_mul=1.5, m_mul=0.9, alpha=0.1),
        lambda: schedules.CosineDecayRestarts(0.2, 7, t_mul=1.1, m_mul=0.7, alpha=0.2),
    ],
    "warm-up": [
        lambda: WarmUp(0.1, 7, schedules.ExponentialDecay(0.1, 4, 0.7)),
        lambda: WarmUp(0.2, 3, schedules.ExponentialDecay(0.2, 5, 0.9)),
    ],
}


def assert_reused(programs: Programs, builds: list[Callable[[], Any]], **options: Any) -> None:
    """The second training needs no program of its own, and equals a plain one."""
    first, second = builds
    trained(first, **options | {"max_epochs": 1 if "first_epoch" not in options else 3})
    assert_equal(trained(second, **options), trained(second, is_on=False, **options))
    assert (programs.num_traced, programs.num_reused) == (1, 1)


@pytest.fixture(autouse=True)
def _from_zero(programs: Programs) -> None:
    programs.num_traced = programs.num_reused = 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_with_its_options(programs: Programs, name: str) -> None:
    def builds(choice: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: network(choice())

    assert_reused(programs, list(map(builds, OPTIMIZERS[name])))


def test_steps_compiled_by_xla(programs: Programs) -> None:
    def builds(rate: float) -> Callable[[], Any]:
        return lambda: network(keras.optimizers.Adam(rate), dropout=rate, jit_compile=True)

    assert_reused(programs, [builds(0.01), builds(0.05)])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_first_training_of_an_architecture(programs: Programs, dropout: float) -> None:
    def build() -> Any:
        return network(dropout=dropout, normalize=True, penalty=regularizers.L2(0.01))

    assert_equal(trained(build), trained(build, is_on=False))
    assert (programs.num_traced, programs.num_reused) == (1, 0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule(programs: Programs, name: str) -> None:
    def builds(rate: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: network(optimizers.SGD(rate()))

    assert_reused(programs, list(map(builds, SCHEDULES[name])))


@pytest.mark.parametrize("penalty", [regularizers.L1, regularizers.L2, lambda x: regularizers.L1L2(x, 2 * x)])
def test_dropout_penalties_and_batch_normalisation(programs: Programs, penalty: Callable[[float], Any]) -> None:
    assert_reused(
        programs,
        [
            lambda: network(dropout=0.3, penalty=penalty(0.003), normalize=True),
            lambda: network(dropout=0.47, penalty=penalty(0.1), normalize=True),
        ],
    )


@pytest.mark.parametrize("options", [
    {"batch_size": 1}, {"batch_size": NUM_ROWS}, {"batch_size": 64, "validation_batch_size": 7}, {"validation_freq": 2},
    {"train": (*TRAIN, np.linspace(0.5, 2, NUM_ROWS))}, {"validation": None}, {"first_epoch": 3},
    {"train": (pd.DataFrame(X), pd.Series(Y)), "validation": (X.astype("float64"), Y[:, None].astype("int64"))},
])  # fmt: skip
def test_rows_in_every_shape(programs: Programs, options: dict[str, Any]) -> None:
    assert_reused(programs, [network, lambda: network(optimizers.Adam(0.02))], **options)


def test_one_program_for_batches_and_sets_of_any_size(programs: Programs) -> None:
    for size in (5, 16, 31):
        rows = TRAIN[0][: 2 * size], TRAIN[1][: 2 * size]
        options: dict[str, Any] = {"batch_size": size, "train": rows}
        assert_equal(trained(network, **options), trained(network, is_on=False, **options))
    assert programs.num_traced == 1


def branched(rate: float, units: int = 5) -> Any:
    """A model with two inputs, two outputs, and a layer that is used twice."""
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    shared = keras.layers.Dense(units, activation="tanh")
    both = keras.layers.Concatenate()([shared(left), keras.layers.Dropout(rate)(shared(right))])
    outputs = {"kind": keras.layers.Dense(3, activation="softmax")(both), "size": keras.layers.Dense(1)(both)}
    model = keras.Model([left, right], outputs)
    model.compile(
        optimizer="rmsprop",
        loss={"kind": "sparse_categorical_crossentropy", "size": keras.losses.Huber(0.7)},
        loss_weights={"kind": 1.0, "size": 0.3},
        metrics={"kind": [keras.metrics.SparseTopKCategoricalAccuracy(2)], "size": ["mae"]},
    )
    return model


def test_several_inputs_and_outputs(programs: Programs) -> None:
    labels = {"kind": Y, "size": X.sum(axis=1)}
    rows = (X[:, :3], X[:, 3:]), labels
    options: dict[str, Any] = {"train": rows, "validation": rows}
    assert_reused(programs, [lambda: branched(0.2), lambda: branched(0.6)], **options)
    _model, curve = trained(lambda: branched(0.6), **options)
    assert {"kind_loss", "size_mae", "val_kind_loss"} <= set(curve)


def convolutional(rate: float) -> Any:
    """A small image model."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Reshape((3, 2, 1)),
            layers.Conv2D(4, 2, padding="same", activation="relu"),
            layers.MaxPooling2D((1, 2)),
            layers.LayerNormalization(),
            layers.GaussianNoise(0.1),
            layers.Flatten(),
            layers.Dropout(rate, noise_shape=(None, 1)),
            layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="nadam", loss=loss, metrics=["accuracy", keras.metrics.SparseCategoricalCrossentropy()])
    return model


def test_images(programs: Programs) -> None:
    assert_reused(programs, [lambda: convolutional(0.2), lambda: convolutional(0.5)])


def test_a_model_that_is_built_by_its_first_rows(programs: Programs) -> None:
    def late() -> Any:
        model = keras.Sequential([keras.layers.Dense(4, "relu"), keras.layers.Dropout(0.3), keras.layers.Dense(3)])
        model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    assert_reused(programs, [late, late])


def test_keras_s_own_callbacks_do_what_they_do_in_fit(programs: Programs) -> None:
    def callbacks() -> list[Any]:
        return [
            keras.callbacks.EarlyStopping(patience=3, min_delta=0.3, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.3, min_delta=0.3),
            keras.callbacks.TerminateOnNaN(),
        ]

    ours = trained(network, callbacks=callbacks(), max_epochs=20)
    assert_equal(ours, trained(network, is_on=False, callbacks=callbacks(), max_epochs=20))
    assert len(ours[1]["loss"]) < 20
    assert ours[1]["learning_rate"][-1] < 0.01
    assert programs.num_traced == 1


def test_validation_rows_are_those_given(programs: Programs) -> None:
    model, curve = trained(network, max_epochs=2)
    loss, accuracy = model.evaluate(*VALIDATION, verbose=0)
    assert curve["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert curve["val_accuracy"][-1] == pytest.approx(accuracy, rel=1e-5)
