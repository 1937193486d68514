"""Each optimizer is Keras's, with Keras's defaults and every option that it has."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import keras
import numpy as np
import pytest

from caviar.contract import mlp_keras
from caviar.contract.mlp import MlpOptions, OptimizerName
from worker.objectives import optimizers

NAMES = get_args(OptimizerName)
CLASSES = {
    "sgd": keras.optimizers.SGD,
    "momentum": keras.optimizers.SGD,
    "nesterov": keras.optimizers.SGD,
    "adagrad": keras.optimizers.Adagrad,
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "lion": keras.optimizers.Lion,
}
# Options of one optimizer or several, each with a value that is nobody's default.
CHANGED: dict[str, Any] = {
    "momentum": 0.3,
    "beta_1": 0.7,
    "beta_2": 0.8,
    "rho": 0.6,
    "epsilon": 1e-3,
    "amsgrad": True,
    "centered": True,
    "initial_accumulator_value": 0.25,
    "weight_decay": 0.125,
    "clipnorm": 2.0,
}


def build(**options: Any) -> Any:
    chosen = MlpOptions(**options)
    return optimizers.build(chosen, mlp_keras.rate(chosen))


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_those_of_keras(name: str) -> None:
    config, expected = build(optimizer=name).get_config(), CLASSES[name]().get_config()
    own = {"momentum": {"momentum": 0.9}, "nesterov": {"momentum": 0.9, "nesterov": True}}
    # Keras numbers the names of its objects, and reads its 32-bit rate back.
    for values in (config, expected):
        values.pop("name")
        values["learning_rate"] = pytest.approx(values["learning_rate"])
    assert config == expected | own.get(name, {})


@pytest.mark.parametrize("name", NAMES)
def test_every_option_that_an_optimizer_has_reaches_it(name: str) -> None:
    config = build(optimizer=name, learning_rate=0.5, **CHANGED).get_config()
    declared = inspect.signature(CLASSES[name].__init__).parameters
    taken = {option: value for option, value in CHANGED.items() if option in declared}
    assert {option: config[option] for option in taken} == pytest.approx(taken)
    assert config["learning_rate"] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_each_kind_of_clipping_reaches_the_optimizer(kind: str) -> None:
    optimizer = build(optimizer="sgd", **{kind: 0.5})
    assert getattr(optimizer, kind) == 0.5


@pytest.mark.parametrize("name", NAMES)
def test_each_optimizer_descends(name: str) -> None:
    optimizer = build(optimizer=name, learning_rate=0.05)
    weight = keras.Variable(np.array([1.0, -1.0], dtype=np.float32))
    optimizer.build([weight])
    for _ in range(20):
        optimizer.apply_gradients([(2 * keras.ops.convert_to_tensor(weight), weight)])
    assert float(keras.ops.sum(keras.ops.square(weight))) < 2.0


def test_plain_sgd_and_its_two_kinds_of_momentum_differ() -> None:
    ends = {}
    for name in ("sgd", "momentum", "nesterov"):
        optimizer = build(optimizer=name, learning_rate=0.1)
        weight = keras.Variable(np.array([1.0], dtype=np.float32))
        for _ in range(2):
            optimizer.apply_gradients([(keras.ops.convert_to_tensor([1.0]), weight)])
        ends[name] = round(float(keras.ops.sum(weight)), 4)
    # By hand: -0.1 twice; velocities -0.1 and -0.19; each step looks ahead by 0.9 of the velocity.
    assert ends == {"sgd": 0.8, "momentum": 0.71, "nesterov": 0.539}
