"""Scaling of columns, fitted on the training part only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caviar.contract.data import ScalingName
from worker.data.errors import DataError
from worker.data.table import Array


@dataclass(frozen=True, slots=True)
class Scaler:
    """A shift and a division per column, or one for all.

    Attributes:
        shift: Is subtracted, shape `(num_columns,)` or `()`.
        divisor: Then divides; 1 where a column is constant.
    """

    shift: Array
    divisor: Array

    def __call__(self, values: Array) -> Array:
        """Scale rows, shape `(num_rows, num_columns)`, to float32.

        Raises:
            DataError: A number is too large for 32 bits.
        """
        # Bytes are exact in 32 bits, and images are the largest sets there are.
        scaled = values.astype(np.float32 if values.dtype == np.uint8 else np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(scaled, self.shift, out=scaled, casting="same_kind")
            np.divide(scaled, self.divisor, out=scaled, casting="same_kind")
            scaled = scaled.astype(np.float32, copy=False)
        if not np.isfinite(scaled).all():
            raise DataError("the data hold a number that is too large for 32-bit floats, expected less than 3.4e38")
        return scaled


def fit(train: Array, scaling: ScalingName) -> Scaler:
    """Measure the training part.

    Args:
        train: Shape `(num_rows, num_columns)`. Bytes are taken for pixels, which share one unit: they are measured
            together, since a column of its own would blow up the noise of a corner that is nearly always black.
        scaling: What to measure.
    """
    axis = None if train.dtype == np.uint8 else 0
    if scaling == "none":
        return Scaler(np.zeros(()), np.ones(()))
    if scaling == "minmax":
        low = np.asarray(train.min(axis=axis), dtype=np.float64)
        width = np.asarray(train.max(axis=axis), dtype=np.float64) - low
        return Scaler(low, np.where(width > 0, width, 1.0))
    deviation = train.std(axis=axis, dtype=np.float64)
    return Scaler(train.mean(axis=axis, dtype=np.float64), np.where(deviation > 0, deviation, 1.0))
