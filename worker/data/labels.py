"""Labels: what they are, and how they are given to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from caviar.contract.data import LabelsName
from worker.data.errors import DataError
from worker.data.table import Array

LabelKind = Literal["integer", "one_hot", "number"]


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels as a model compares with them.

    Attributes:
        kind: `integer` classes, `one_hot` classes or a `number`.
        values: Shape `(num_rows,)`, int32, for integer classes; `(num_rows, num_classes)`, float32, for one-hot ones;
            `(num_rows,)` or `(num_rows, num_targets)`, float64, for numbers.
        num_classes: Number of classes; None for numbers.
    """

    kind: LabelKind
    values: Array
    num_classes: int | None

    @property
    def classes(self) -> Array | None:
        """The class of each row, from 0, shape `(num_rows,)`; None for numbers."""
        if self.kind == "number":
            return None
        return self.values if self.kind == "integer" else self.values.argmax(axis=1)


def encode(name: str, raw: Array, wanted: LabelsName) -> Labels:
    """Encode labels.

    Args:
        name: Of the source, for messages.
        raw: Shape `(num_rows,)` or `(num_rows, num_targets)`: numbers, booleans or words.
        wanted: The encoding, or `auto`.
    Raises:
        DataError: The labels cannot be encoded so.
    """
    found = _recognise(raw)
    kind = found if wanted == "auto" else wanted
    if kind == "number":
        if raw.dtype.kind not in "biuf":
            raise DataError(
                f"{name}: the labels are words such as {raw.flat[0]!r}, expected numbers; leave out labels, or "
                "set it to integer or one_hot"
            )
        return Labels("number", raw.astype(np.float64), None)
    positions, num_classes = (raw.argmax(axis=1), raw.shape[1]) if found == "one_hot" else _classes(name, raw)
    if num_classes < 2:
        raise DataError(f"{name}: all labels are {raw.flat[0]!r}, expected at least two classes")
    if kind == "integer":
        return Labels("integer", positions.astype(np.int32), num_classes)
    return Labels("one_hot", np.eye(num_classes, dtype=np.float32)[positions], num_classes)


def _recognise(raw: Array) -> LabelKind:
    if raw.ndim == 2:
        is_one_hot = raw.dtype.kind in "biuf" and bool(((raw == 0) | (raw == 1)).all() and (raw.sum(axis=1) == 1).all())
        return "one_hot" if is_one_hot else "number"
    return "number" if raw.dtype.kind == "f" else "integer"


def _classes(name: str, raw: Array) -> tuple[Array, int]:
    if raw.ndim == 2:
        raise DataError(
            f"{name}: labels of shape {raw.shape} with other rows than a single 1 among zeros, expected one "
            "class per row; set labels to number for several numbers per row"
        )
    if raw.dtype.kind == "f" and not (raw == np.floor(raw)).all():
        fraction = raw[raw != np.floor(raw)][0]
        raise DataError(
            f"{name}: the labels are numbers such as {fraction}, expected whole ones for classes; leave out "
            "labels, or set it to number"
        )
    known, positions = np.unique(raw, return_inverse=True)
    return positions, len(known)
