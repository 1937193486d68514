"""Chance in a training: every draw follows from the trial's seed and the epoch, wherever a training begins."""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.utils import rng_utils

# NumPy's generator, which Keras seeds too, takes 32 bits.
SEEDS = 2**32


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch, of 31 bits.

    Args:
        seed: Of the trial, not below 0.
        epoch: Absolute, from 0 as Keras counts.
    """
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0] >> 1)


def begin(seed: int) -> None:
    """Seed all generators for a trial, as `keras.utils.set_random_seed` does.

    TensorFlow's own global seed is set without emptying TensorFlow's caches, unless numbers were drawn by it: emptied,
    they cost every function that goes on from trial to trial the time of its first call again.

    Args:
        seed: Of the trial, 32 bits.
    """
    tensorflow = sys.modules.get("tensorflow")
    is_torch = keras.backend.backend() == "torch"
    if tensorflow is None and not is_torch:
        # Keras would import it for the sake of its seed.
        _seed_keras(seed)
        return
    context = importlib.import_module("tensorflow.python.eager.context").context() if tensorflow is not None else None
    if context is None or is_torch or _has_drawn(context):
        keras.utils.set_random_seed(seed)
        return
    _seed_keras(seed)
    context._seed = seed
    context._rng = random.Random(seed)


def _seed_keras(seed: int) -> None:
    global_state.set_global_attribute(rng_utils.GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR, None)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what others draw from NumPy's own generator is to be the same, too


def _has_drawn(context: Any) -> bool:
    # A kernel with a state takes its seed from here, so where there is no draw, no cache holds such a state.
    drawn = getattr(context, "_rng", None)
    return drawn is None or drawn.getstate() != random.Random(context._seed).getstate()


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
