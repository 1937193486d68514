"""Keras's optimizers by the names of `mlp`."""

from __future__ import annotations

from typing import Any

import keras

from caviar.contract.mlp import MlpOptions

_MOMENTS = ("beta_1", "beta_2", "epsilon")
_EVERYWHERE = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")

# Of each optimizer: Keras's class, the options it takes, and what differs from Keras's defaults.
_OPTIMIZERS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "sgd": ("SGD", ("momentum",), {}),
    "momentum": ("SGD", ("momentum",), {"momentum": 0.9}),
    "nesterov": ("SGD", ("momentum",), {"momentum": 0.9, "nesterov": True}),
    "adagrad": ("Adagrad", ("epsilon", "initial_accumulator_value"), {}),
    "rmsprop": ("RMSprop", ("rho", "momentum", "epsilon", "centered"), {}),
    "adam": ("Adam", (*_MOMENTS, "amsgrad"), {}),
    "adamw": ("AdamW", (*_MOMENTS, "amsgrad"), {}),
    "nadam": ("Nadam", _MOMENTS, {}),
    "adamax": ("Adamax", _MOMENTS, {}),
    "lion": ("Lion", ("beta_1", "beta_2"), {}),
}


def build(options: MlpOptions, learning_rate: Any) -> Any:
    """A new Keras optimizer.

    Args:
        options: Which one, and its options; those it does not have are passed over.
        learning_rate: A number or a schedule.
    """
    cls, names, changes = _OPTIMIZERS[options.optimizer]
    given = {name: getattr(options, name) for name in (*names, *_EVERYWHERE)}
    # None stands for Keras's default, which differs between optimizers.
    return getattr(keras.optimizers, cls)(
        learning_rate=learning_rate, **changes | {name: value for name, value in given.items() if value is not None}
    )
