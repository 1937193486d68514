"""The states of callbacks: what can be kept, and where it belongs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from worker.checkpoints import states
from worker.checkpoints.errors import CheckpointForeign, Unkeepable


def test_states_come_back_with_the_types_that_matter() -> None:
    arrays: list[Any] = []

    def keep(array: Any) -> int:
        arrays.append(array)
        return len(arrays) - 1

    state = {"array": np.arange(3), "list": [1, (2.5, None)], "dict": {"list": [np.float32(0.5)], "is_on": True},
             "tensor": keras.ops.ones(2), "variable": keras.Variable(3.0), "text": "α",
             "inf": float("inf")}  # fmt: skip
    found = states.unpack(states.pack(state, keep), arrays)
    assert len(arrays) == 3
    assert found["array"].tolist() == [0, 1, 2]
    assert found["list"] == [1, [2.5, None]]
    assert found["dict"] == {"list": [0.5], "is_on": True}
    assert (found["tensor"].tolist(), float(found["variable"])) == ([1.0, 1.0], 3.0)
    assert (found["text"], found["inf"]) == ("α", float("inf"))


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {3}}, [b"bytes"], np.array(["text"]), np.array([None])])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(Unkeepable, match="expected numbers, texts, arrays"):
        states.pack(value, lambda _array: 0)


def test_callbacks_without_a_state_have_none() -> None:
    assert states.get(keras.callbacks.TerminateOnNaN()) is None
    stopping = keras.callbacks.EarlyStopping(patience=3)
    stopping.on_train_begin()
    stopping.wait, stopping.best, stopping.best_weights = 2, 0.5, [np.ones(2)]
    another = keras.callbacks.EarlyStopping(patience=3)
    states.put(another, states.get(stopping) or {})
    assert (another.wait, another.best, another.best_weights) == (2, 0.5, stopping.best_weights)


def test_states_go_to_the_same_callbacks_only() -> None:
    callbacks = [keras.callbacks.TerminateOnNaN(), keras.callbacks.EarlyStopping()]
    kept = states.kinds(callbacks)
    states.check(callbacks, kept)
    for others in (callbacks[:1], callbacks[::-1], []):
        with pytest.raises(CheckpointForeign, match="TerminateOnNaN, EarlyStopping"):
            states.check(others, kept)
