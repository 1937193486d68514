"""The states of callbacks as JSON and arrays: those of Keras that have one, and a user's that offer theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from worker.checkpoints.errors import CheckpointForeign, Unkeepable

# What these change from epoch to epoch; all else comes from their constructors.
_CHANGING: dict[type[Any], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: (
        "best", "epochs_since_last_save", "_batches_seen_since_last_saving", "_last_batch_seen",
    ),
}  # fmt: skip


def kinds(callbacks: Sequence[Any]) -> list[str]:
    """The classes of callbacks, in order: only equal lists can exchange their states."""
    return [type(callback).__qualname__ for callback in callbacks]


def get(callback: Any) -> dict[str, Any] | None:
    """The state of a callback by name, or None if it has none, or none that it tells."""
    if _offers(callback):
        return dict(callback.get_state())
    for kind, names in _CHANGING.items():
        if isinstance(callback, kind):
            return {name: getattr(callback, name) for name in names}
    return None


def put(callback: Any, state: Mapping[str, Any]) -> None:
    """Give a callback the state that `get` told; its `on_train_begin`, which forgets everything, has to be over."""
    if _offers(callback):
        callback.set_state(dict(state))
        return
    for name, value in state.items():
        setattr(callback, name, value)


def pack(value: Any, keep: Callable[[NDArray[Any]], int]) -> Any:
    """A state as JSON.

    Args:
        value: None, numbers, texts, arrays, and lists and dicts of these.
        keep: Puts an array aside and tells its number.
    Raises:
        Unkeepable: Something else is in it.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {"dict": {name: pack(item, keep) for name, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [pack(item, keep) for item in value]
    if isinstance(value, np.ndarray) or keras.ops.is_tensor(value) or isinstance(value, keras.Variable):
        array = np.asarray(keras.ops.convert_to_numpy(value))
        if array.dtype.kind in "biufcV":
            return {"array": keep(array)}
    raise Unkeepable(
        f"the state of a callback has a {type(value).__name__}, "
        "expected numbers, texts, arrays, lists and dicts by name"
    )


def unpack(packed: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    """What was packed; tuples have become lists, and tensors arrays."""
    if isinstance(packed, list):
        return [unpack(item, arrays) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if "array" in packed:
        return arrays[packed["array"]]
    return {name: unpack(item, arrays) for name, item in packed["dict"].items()}


def check(callbacks: Sequence[Any], kept: Sequence[str]) -> None:
    """See that these callbacks are those whose states were kept.

    Raises:
        CheckpointForeign: They are not.
    """
    if kinds(callbacks) != list(kept):
        raise CheckpointForeign(
            f"the checkpoint was made with the callbacks {', '.join(kept) or 'none'}, but the training has "
            f"{', '.join(kinds(callbacks)) or 'none'}"
        )


def _offers(callback: Any) -> bool:
    return callable(getattr(callback, "get_state", None)) and callable(getattr(callback, "set_state", None))
