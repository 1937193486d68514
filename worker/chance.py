"""Chance in a training: every draw follows from the trial's seed and the epoch, wherever a training begins."""

from __future__ import annotations

import importlib
import random
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras.src.random import seed_generator

# NumPy's generator, which Keras seeds too, takes 32 bits.
SEEDS = 2**32


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch, of 31 bits.

    Args:
        seed: Of the trial, not below 0.
        epoch: Absolute, from 0 as Keras counts.
    """
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0] >> 1)


class EpochSeeds(keras.callbacks.Callback):
    """Seeds the generators of Python, NumPy and Keras anew before each epoch; it must be the first callback.

    The seeds of dropout and the like are variables of their layers and go on by themselves. TensorFlow's own global
    seed is left alone: to set it empties the caches of TensorFlow, which doubled the time of a short epoch.
    """

    async_safe = True

    def __init__(self, seed: int) -> None:
        """Remember the seed of the trial."""
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Seed."""
        seed = epoch_seed(self._seed, epoch)
        # A layer without a seed of its own draws from this generator, whose state is no variable of the model. It comes
        # first: to make it takes a draw from Python's.
        seed_generator.global_seed_generator().state.assign([seed, 0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what others draw from NumPy's own generator is to be the same, too
        if keras.backend.backend() == "torch":
            importlib.import_module("torch").manual_seed(seed)
