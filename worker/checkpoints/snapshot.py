"""A training as numbers: taken from a model and its callbacks, put into others that were built alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from worker.checkpoints import states
from worker.checkpoints.errors import CheckpointForeign, Unkeepable
from worker.checkpoints.file import Content

Array = NDArray[Any]


@dataclass(frozen=True)
class Snapshot:
    """All that changes in the course of a training.

    Random numbers that do not come from the model's own seeds follow from the trial's seed and the epoch, so they are
    no part of it; see `worker.chance`.

    Attributes:
        model: Variables of the model: weights, moving averages, seeds of dropout and the like.
        optimizer: Variables of the optimizer: its steps, its learning rate, its moments.
        callbacks: Class and state of each callback, in order; None for one without a state.
    """

    model: Sequence[Array]
    optimizer: Sequence[Array]
    callbacks: Sequence[tuple[str, Any]]


def take(model: Any, callbacks: Sequence[Any]) -> Snapshot:
    """The present state of a training.

    Raises:
        Unkeepable: The model has optimizers beside the one that it was compiled with, or a callback has a state that is
            neither JSON nor arrays.
    """
    others = [name for name, value in vars(model).items() if _is_other_optimizer(model, value)]
    if others:
        raise Unkeepable(f"the model has another optimizer, {', '.join(others)}, expected only the one of compile")
    optimizer = [] if model.optimizer is None else numbers(model.optimizer.variables)
    told = [(kind, states.get(callback)) for kind, callback in zip(states.kinds(callbacks), callbacks, strict=True)]
    return Snapshot(numbers(model.variables), optimizer, told)


def to_content(snapshot: Snapshot, facts: Mapping[str, Any]) -> Content:
    """A snapshot as it goes into a file.

    Args:
        snapshot: What to keep.
        facts: What else to note, as JSON.
    Raises:
        Unkeepable: A callback has a state that is neither JSON nor arrays.
    """
    arrays = [*snapshot.model, *snapshot.optimizer]

    def keep(array: Array) -> int:
        arrays.append(array)
        return len(arrays) - 1

    callbacks = [[kind, states.pack(state, keep)] for kind, state in snapshot.callbacks]
    counts = {"num_model": len(snapshot.model), "num_optimizer": len(snapshot.optimizer)}
    return Content(arrays, {**facts, **counts, "callbacks": callbacks})


def from_content(content: Content) -> Snapshot:
    """The snapshot that `to_content` was given."""
    facts, arrays = content.facts, content.arrays
    end = facts["num_model"] + facts["num_optimizer"]
    callbacks = [(kind, states.unpack(packed, arrays)) for kind, packed in facts["callbacks"]]
    return Snapshot(arrays[: facts["num_model"]], arrays[facts["num_model"] : end], callbacks)


def put_variables(snapshot: Snapshot, model: Any) -> None:
    """Give a built model, and its optimizer, the variables of a snapshot.

    Raises:
        CheckpointForeign: They have other shapes or types; nothing is changed.
    """
    optimizer = model.optimizer
    if optimizer is not None:
        optimizer.build(model.trainable_variables)
    variables = [*model.variables, *([] if optimizer is None else optimizer.variables)]
    values = [*snapshot.model, *snapshot.optimizer]
    expected, received = [_shape(variable) for variable in variables], [_shape(value) for value in values]
    if expected != received:
        raise CheckpointForeign(f"the checkpoint has {_difference(received, expected)}; was the objective changed?")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class StateRestorer(keras.callbacks.Callback):
    """Gives callbacks their states back at the beginning of `fit`; it must come after them."""

    async_safe = True

    def __init__(self, snapshot: Snapshot, callbacks: Sequence[Any]) -> None:
        """Remember what is to be restored.

        Args:
            snapshot: The states.
            callbacks: As many as were there when it was taken, in the same order.
        Raises:
            CheckpointForeign: They are of other classes.
        """
        super().__init__()
        states.check(callbacks, [kind for kind, _state in snapshot.callbacks])
        self._pairs = [
            (callback, state)
            for callback, (_kind, state) in zip(callbacks, snapshot.callbacks, strict=True)
            if state is not None
        ]

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Restore."""
        for callback, state in self._pairs:
            states.put(callback, state)


def numbers(variables: Sequence[Any]) -> list[Array]:
    """The values of variables, as they are now."""
    # A copy: on some backends the array would change with its variable.
    return [np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable))) for variable in variables]


def _is_other_optimizer(model: Any, value: Any) -> bool:
    return isinstance(value, keras.optimizers.Optimizer) and value is not model.optimizer


def _shape(value: Any) -> tuple[tuple[int, ...], str]:
    return tuple(value.shape), str(value.dtype)


def _difference(received: Sequence[object], expected: Sequence[object]) -> str:
    if len(received) != len(expected):
        return f"{len(received)} variables, the model and its optimizer have {len(expected)}"
    number = next(i for i, (ours, theirs) in enumerate(zip(received, expected, strict=True)) if ours != theirs)
    return f"variable {number} as {received[number]}, expected {expected[number]}"
