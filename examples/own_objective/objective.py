"""An objective of one's own: any compiled Keras model, here two towers whose sum is classified.

Offer it with `caviar work --objective examples/own_objective/objective.py`, then submit `study.yaml`.
"""

from __future__ import annotations

from typing import Any

import keras
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split


class IrisTowers:
    """Iris through a wide and a deep tower."""

    name = "iris-towers"
    space = {  # noqa: RUF012  # a plain dictionary, as in a study file
        "learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "scale": "log"},
        "wide_units": {"type": "int", "low": 4, "high": 64, "scale": "log"},
        "deep_units": {"type": "int", "low": 4, "high": 64, "scale": "log"},
        "merge": {"type": "categorical", "choices": ["add", "concatenate"]},
    }

    def __init__(self, *, config: dict[str, Any], data_seed: int) -> None:
        """Load the data once, before any model is built."""
        x, y = load_iris(return_X_y=True)
        parts = train_test_split(
            x, y, test_size=config.get("validation_fraction", 0.3), stratify=y, random_state=data_seed % 2**32
        )
        self._x_train, self._x_validation, self._y_train, self._y_validation = parts

    def build(self, params: dict[str, Any]) -> keras.Model:
        """A new, compiled model for one configuration."""
        inputs = keras.Input(shape=(4,))
        normalization = keras.layers.Normalization()
        normalization.adapt(self._x_train)
        x = normalization(inputs)
        wide = keras.layers.Dense(params["wide_units"], activation="relu")(x)
        deep = keras.layers.Dense(params["deep_units"], activation="relu")(x)
        deep = keras.layers.Dense(params["wide_units"], activation="relu")(deep)
        merge = keras.layers.Add() if params["merge"] == "add" else keras.layers.Concatenate()
        outputs = keras.layers.Dense(3, activation="softmax")(merge([wide, deep]))
        model = keras.Model(inputs, outputs)
        model.compile(
            optimizer=keras.optimizers.Adam(params["learning_rate"]),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model

    def data(self, params: dict[str, Any]) -> tuple[Any, Any]:
        """The training and the validation set."""
        return (self._x_train, self._y_train), (self._x_validation, self._y_validation)

    def fit_options(self, params: dict[str, Any]) -> dict[str, Any]:
        """More arguments for Keras's `fit`; this method may be left out."""
        return {"batch_size": 16}
