"""The layers of an `mlp`."""

from __future__ import annotations

from typing import Any

import keras

from caviar.contract.mlp import MlpOptions
from caviar.contract.mlp_keras import initializer


def build(options: MlpOptions, *, num_inputs: int, head: Any) -> Any:
    """A new network, not yet compiled: `(batch_size, num_inputs)` to the shape of the head.

    Args:
        options: Sizes, activation, initializer, dropout, penalties, batch normalisation.
        num_inputs: Columns of the data.
        head: The output layer.
    """
    layers: list[Any] = [keras.Input(shape=(num_inputs,), name="inputs")]
    if options.input_dropout > 0:
        layers.append(keras.layers.Dropout(options.input_dropout, name="input_dropout"))
    for number, units in enumerate(options.layer_units, start=1):
        layers += _hidden(options, number, units)
    return keras.Sequential([*layers, head], name="mlp")


def _hidden(options: MlpOptions, number: int, units: int) -> list[Any]:
    penalty = keras.regularizers.L1L2(l1=options.l1, l2=options.l2) if options.l1 or options.l2 else None
    # The shift of batch normalisation does what a bias would do.
    layers: list[Any] = [
        keras.layers.Dense(
            units,
            use_bias=not options.batch_normalization,
            kernel_initializer=initializer(options),
            kernel_regularizer=penalty,
            name=f"dense_{number}",
        )
    ]
    if options.batch_normalization:
        layers.append(keras.layers.BatchNormalization(name=f"normalization_{number}"))
    layers.append(keras.layers.Activation(options.activation, name=f"activation_{number}"))
    if options.dropout > 0:
        layers.append(keras.layers.Dropout(options.dropout, name=f"dropout_{number}"))
    return layers
