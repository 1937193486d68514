"""A model written for KerasTuner: nothing in `build_model` knows of Caviar.

Offer it with `caviar work --objective examples/keras_tuner/build_model.py`, then submit `study.yaml`.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A small network for images of digits, dense or convolutional."""
    model = keras.Sequential()
    kind = hp.Choice("kind", ["dense", "convolutional"])
    if kind == "convolutional":
        with hp.conditional_scope("kind", ["convolutional"]):
            model.add(layers.Conv2D(hp.Int("filters", min_value=4, max_value=16, step=4), 3, activation="relu"))
    model.add(layers.Flatten())
    for number in range(hp.Int("num_layers", 1, 3)):
        units = hp.Int(f"units_{number}", min_value=16, max_value=128, step=16)
        model.add(layers.Dense(units, activation=hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(0.25))
    model.add(layers.Dense(10, activation="softmax"))
    rate = hp.Float("learning_rate", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data(data_seed: int) -> tuple[Any, Any]:
    """The training and the validation set; KerasTuner takes them as arguments of `search`."""
    x, y = load_digits(return_X_y=True)
    images = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
    x_train, x_validation, y_train, y_validation = train_test_split(
        images, y, test_size=0.25, stratify=y, random_state=data_seed % 2**32
    )
    return (x_train, y_train), (x_validation, y_validation)


# Tries it once with the defaults, as one does for KerasTuner.
build_model(keras_tuner.HyperParameters())
