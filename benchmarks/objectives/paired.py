"""An objective that trains each trial twice in the same process: bare Keras first, then under Caviar."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

_NUM_EPOCHS = int(os.environ.get("PAIRED_EPOCHS", "20"))
_NUM_STEPS = int(os.environ.get("PAIRED_STEPS", "100"))
_DIARY = Path(os.environ.get("PAIRED_DIARY", "paired.jsonl"))
_BATCH = 32


class Paired:
    """An MLP 300-200-100 on synthetic data, as large as digits."""

    name = "paired"
    space: ClassVar[dict[str, Any]] = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"}}

    def __init__(self) -> None:
        """Draw the data."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(_NUM_STEPS * _BATCH, 64)).astype("float32")
        y = rng.integers(0, 10, size=len(x))
        self._sets = (x, y), (x[: 10 * _BATCH], y[: 10 * _BATCH])

    def data(self, params: dict[str, Any]) -> Any:
        """Train bare, note how long that took, then hand the same data to Caviar."""
        train, validation = self._sets
        started = time.perf_counter()
        model = self.build(params)
        model.fit(*train, validation_data=validation, batch_size=_BATCH, epochs=_NUM_EPOCHS, verbose=0)
        bare_s = time.perf_counter() - started
        # Caviar begins as bare Keras began, without the garbage of the training before; that counts for neither.
        keras.utils.clear_session()
        with _DIARY.open("a") as diary:
            diary.write(json.dumps({"bare_s": bare_s, "both_s": time.perf_counter() - started}) + "\n")
        return train, validation

    def build(self, params: dict[str, Any]) -> keras.Model:
        """The compiled model."""
        layers = [keras.layers.Dense(units, activation="relu") for units in (300, 200, 100)]
        model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, activation="softmax")])
        model.compile(keras.optimizers.Adam(params["learning_rate"]), "sparse_categorical_crossentropy")
        return model

    def fit_options(self, params: dict[str, Any]) -> dict[str, Any]:
        """The same batches as bare."""
        return {"batch_size": _BATCH}
