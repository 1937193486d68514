"""Seeds of a trial: those of Keras, without emptying the caches of TensorFlow where nothing was drawn from it."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from worker import chance


def draws() -> list[Any]:
    """Numbers from every generator that an objective may use; the last two have a state in TensorFlow's caches."""
    weights = keras.layers.Dense(2)
    weights.build((None, 2))
    return [
        random.random(),
        np.random.random(),  # noqa: NPY002 - as users do
        keras.random.normal((2,)).numpy().tolist(),
        weights.kernel.numpy().tolist(),
        tf.random.normal((2,)).numpy().tolist(),
        tf.random.uniform((2,)).numpy().tolist(),
    ]


def test_a_trial_is_seeded_as_keras_does_it() -> None:
    keras.utils.set_random_seed(5)
    expected = draws()
    for seed in (6, 5, 5):
        chance.begin(seed)
        assert (draws() == expected) is (seed == 5)


def test_functions_stay_warm_unless_something_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    cleared: list[int] = []
    monkeypatch.setattr(keras.utils, "set_random_seed", cleared.append)
    keras.src.utils.rng_utils.set_random_seed(1)
    chance.begin(2)
    chance.begin(3)
    assert cleared == []
    tf.random.normal((2,))
    chance.begin(4)
    assert cleared == [4]
