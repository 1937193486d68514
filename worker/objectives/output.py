"""The output layer, the loss and the metrics of an `mlp`."""

from __future__ import annotations

from typing import Any

import keras

from caviar.contract.losses import Loss
from caviar.contract.mlp_keras import LOSS_CLASSES


def head(loss: Loss, num_outputs: int) -> Any:
    """The output layer, shape `(batch_size, num_outputs)`."""
    # Nothing is gained by He's factor here: no ReLU follows.
    return keras.layers.Dense(num_outputs, activation=loss.output, kernel_initializer="glorot_uniform", name="output")


def loss_function(loss: Loss) -> Any:
    """The loss as a new Keras object."""
    return keras.losses.get({"class_name": LOSS_CLASSES[loss.name], "config": {}})


def metrics(loss: Loss) -> list[Any]:
    """New metrics: accuracy for classes; for numbers the mean absolute and squared errors, free of any penalty."""
    if loss.labels == "number":
        return [keras.metrics.MeanAbsoluteError(name="mae"), keras.metrics.MeanSquaredError(name="mse")]
    if loss.output == "sigmoid":
        return [keras.metrics.BinaryAccuracy(name="accuracy")]
    if loss.labels == "one_hot":
        return [keras.metrics.CategoricalAccuracy(name="accuracy")]
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
