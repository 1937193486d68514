"""Rows as they come from their source, before anything is done to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.data.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Inputs and labels of one source.

    Attributes:
        name: Of the source, for messages.
        x: Inputs, shape `(num_rows, num_columns)`, numbers.
        y: Labels, shape `(num_rows,)` or `(num_rows, num_targets)`.
        num_test: How many of the last rows are the source's own test part; None if it has none.
    """

    name: str
    x: Array
    y: Array
    num_test: int | None = None


def table(name: str, x: Array, y: Array, num_test: int | None = None) -> Table:
    """Check inputs and labels and lay each row flat.

    Args:
        name: Of the source, for messages.
        x: Inputs, shape `(num_rows, ...)`.
        y: Labels, shape `(num_rows,)`, `(num_rows, 1)` or `(num_rows, num_targets)`.
        num_test: How many of the last rows are the source's own test part.
    Raises:
        DataError: The two do not belong together, are empty, or hold what is no finite number.
    """
    if x.ndim == 0 or y.ndim == 0 or len(x) == 0 or math.prod(x.shape[1:]) == 0:
        raise DataError(
            f"{name}: inputs of shape {x.shape} and labels of shape {y.shape}, expected at least one row and one column"
        )
    if len(x) != len(y):
        raise DataError(f"{name}: {len(x)} rows of inputs and {len(y)} labels, expected as many labels as rows")
    if x.dtype.kind not in "biuf":
        raise DataError(f"{name}: inputs of type {x.dtype}, expected numbers; encode words as numbers first")
    if y.ndim > 2:
        raise DataError(f"{name}: labels of shape {y.shape}, expected (num_rows,) or (num_rows, num_targets)")
    flat = x.reshape(len(x), -1)
    _require_finite(name, "inputs", flat)
    if y.dtype.kind == "f":
        _require_finite(name, "labels", y)
    return Table(name, flat, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y, num_test)


def _require_finite(name: str, what: str, values: Array) -> None:
    if values.dtype.kind != "f":
        return
    num_bad = int(np.size(values) - np.count_nonzero(np.isfinite(values)))
    if num_bad:
        raise DataError(
            f"{name}: {num_bad} of the {what} are NaN or infinite, expected finite numbers; remove these "
            "rows or fill them in first"
        )
