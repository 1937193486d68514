"""A small Keras training that every system under comparison runs: an MLP on scikit-learn's digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

OnEpoch = Callable[[int, float], bool]
"""Told the epochs completed and their validation loss; whether the training stops."""

_BATCH = 128
_VALIDATION_SHARE = 0.25
_SPLIT_SEED = 0


class _Watch(keras.callbacks.Callback):
    def __init__(self, on_epoch: OnEpoch) -> None:
        super().__init__()
        self._on_epoch = on_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._on_epoch(epoch + 1, float((logs or {})["val_loss"])):
            self.model.stop_training = True


class Training:
    """The data, split once and for all, and how a model is built and trained on them."""

    def __init__(self) -> None:
        """Load and split the data."""
        # The runs of several seeds share the machine's cores.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        x, y = load_digits(return_X_y=True)
        x_train, x_valid, y_train, y_valid = train_test_split(
            (x / 16).astype("float32"), y, test_size=_VALIDATION_SHARE, random_state=_SPLIT_SEED, stratify=y
        )
        everything = tf.data.Dataset.from_tensor_slices((x_train, y_train)).cache()
        self._train = everything.shuffle(len(x_train), seed=_SPLIT_SEED).batch(_BATCH)
        self._valid = tf.data.Dataset.from_tensors((x_valid, y_valid)).cache()

    def build(self, params: dict[str, Any]) -> Any:
        """The compiled model of a configuration."""
        layers: list[Any] = [keras.Input((64,))]
        for _ in range(params["num_layers"]):
            layers += [keras.layers.Dense(params["units"], activation="relu"), keras.layers.Dropout(params["dropout"])]
        model = keras.Sequential([*layers, keras.layers.Dense(10)])
        optimizer = keras.optimizers.AdamW(
            learning_rate=params["learning_rate"], beta_1=params["beta_1"], weight_decay=params["weight_decay"]
        )
        # Made here and not by the first step, so that the step is traced once instead of twice.
        optimizer.build(model.trainable_variables)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, jit_compile=False)
        return model

    def fit(self, model: Any, *, first_epoch: int, max_epochs: int, on_epoch: OnEpoch, callbacks: Any = ()) -> Any:
        """Train a model.

        Args:
            model: From `build`, as far trained as it is.
            first_epoch: The epoch to begin with, from 1.
            max_epochs: The last epoch, absolute.
            on_epoch: Told every epoch.
            callbacks: More Keras callbacks.
        Returns:
            Keras's history.
        """
        return model.fit(
            self._train,
            validation_data=self._valid,
            shuffle=False,  # The data set does that itself.
            initial_epoch=first_epoch - 1,
            epochs=max_epochs,
            callbacks=[_Watch(on_epoch), *callbacks],
            verbose=0,
        )
