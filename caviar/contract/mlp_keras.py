"""What the options of `mlp` are called in Keras: classes, arguments and defaults, without Keras itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
_AUTO_INITIALIZERS = {
    "selu": "lecun_normal",
    "sigmoid": "glorot_uniform",
    "tanh": "glorot_uniform",
    "softsign": "glorot_uniform",
    "linear": "glorot_uniform",
}
_DEFAULT_RATES = {"sgd": 0.01, "momentum": 0.01, "nesterov": 0.01}
_DEFAULT_RATE = 0.001

LOSS_CLASSES: Mapping[str, str] = {
    "binary_crossentropy": "BinaryCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "mean_squared_error": "MeanSquaredError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
}
"""Keras's classes of the losses."""


def optimizer(options: MlpOptions) -> tuple[str, dict[str, Any]]:
    """Keras's class of the optimizer, and its arguments but the learning rate; what it does not have is left out."""
    cls, names, changes = _OPTIMIZERS[options.optimizer]
    given = {name: getattr(options, name) for name in (*names, *_EVERYWHERE)}
    # None stands for Keras's default, which differs between optimizers.
    return cls, changes | {name: value for name, value in given.items() if value is not None}


def rate(options: MlpOptions) -> float:
    """The learning rate at its height: the given one, or Keras's default for the optimizer."""
    return options.learning_rate or _DEFAULT_RATES.get(options.optimizer, _DEFAULT_RATE)


def initializer(options: MlpOptions) -> str:
    """Keras's name of the initializer of the hidden kernels.

    Source: Glorot and Bengio 2010 for saturating activations, He et al. 2015 for ReLU and its like, Klambauer et al.
        2017 (with LeCun's initialisation) for selu.
    """
    if options.initializer != "auto":
        return options.initializer
    return _AUTO_INITIALIZERS.get(options.activation, "he_normal")
