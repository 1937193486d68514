"""Build a model whose layers wait for their first rows: before that it has no variables to load a checkpoint into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from worker.checkpoints.errors import CheckpointForeign


def build(model: Any, train: Any) -> None:
    """Make the variables of a model, if it has none yet, as its first training step would.

    Args:
        model: A compiled model.
        train: The training set that its objective gave.
    Raises:
        CheckpointForeign: The set can be read only once, so that no rows can be spared.
    """
    if not model.built:
        model(_first_inputs(train))


def _first_inputs(train: Any) -> Any:
    if isinstance(train, (tuple, list)):
        return _one_row(train[0])
    if isinstance(train, Mapping) or hasattr(train, "__array__"):
        return _one_row(train)
    if isinstance(train, keras.utils.PyDataset):
        return _inputs(train[0])
    # An iterator is its own iterator: what is taken out of it is missing later.
    if hasattr(train, "__iter__") and not hasattr(train, "__next__"):
        return _inputs(next(iter(train)))
    raise CheckpointForeign(
        f"the model is not built, and from a {type(train).__name__} no rows can be taken to build it; "
        "give the model an Input, or the data as a dataset"
    )


def _inputs(batch: Any) -> Any:
    return batch[0] if isinstance(batch, (tuple, list)) else batch


def _one_row(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _one_row(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_one_row(item) for item in value)
    return keras.ops.convert_to_tensor(value[:1])
