"""Keras's optimizers by the names of `mlp`."""

from __future__ import annotations

from typing import Any

import keras

from caviar.contract import mlp_keras
from caviar.contract.mlp import MlpOptions


def build(options: MlpOptions, learning_rate: Any) -> Any:
    """A new Keras optimizer.

    Args:
        options: Which one, and its options; those it does not have are passed over.
        learning_rate: A number or a schedule.
    """
    cls, arguments = mlp_keras.optimizer(options)
    return getattr(keras.optimizers, cls)(learning_rate=learning_rate, **arguments)
