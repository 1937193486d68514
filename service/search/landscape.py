"""How a metric goes with two parameters: values of scattered trials, smoothed over a grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MIN_TRIALS = 5
_FENCE = 3.0
_MIN_WIDTH = 0.04
_MAX_WIDTH = 0.12
_REACH = 2.5


def tamed(values: Array, *, is_minimized: bool) -> Array:
    """Values of which those far beyond the others at the worse end are moved to the outer fence.

    Source: Tukey 1977, "Exploratory Data Analysis", outer fences: three times the distance of the quartiles.
    """
    first, third = np.quantile(values, [0.25, 0.75])
    reach = _FENCE * (third - first)
    kept: Array = np.minimum(values, third + reach) if is_minimized else np.maximum(values, first - reach)
    return kept


def smoothed(points: Array, values: Array, trust: Array, x: Array, y: Array, *, is_choice: tuple[bool, bool]) -> Array:
    """A mean of the values around each place of a grid, the nearer ones weighing more.

    The weights are Gaussian, their width follows the number of trials. A place has no value where no trial lies within
    2.5 widths of it. Choices of a categorical are not mixed with each other.

    Args:
        points: Places of the trials in the unit square, shape `(num_trials, 2)`.
        values: Their values, shape `(num_trials,)`.
        trust: By how much each of them counts, above 0, shape `(num_trials,)`.
        x: Places of the columns, shape `(num_columns,)`.
        y: Places of the rows, shape `(num_rows,)`.
        is_choice: For `x` and `y`, whether the parameter is categorical.
    Returns:
        Shape `(num_rows, num_columns)`; NaN where there is no value.
    Source: Nadaraya 1964, "On Estimating Regression", and Watson 1964, "Smooth Regression Analysis"; the width after
        Scott 1992, "Multivariate Density Estimation", for two dimensions.
    """
    columns = _distances(points[:, 0], x, is_choice[0])
    rows = _distances(points[:, 1], y, is_choice[1])
    weights_x, weights_y = np.exp(-(columns**2) / 2), np.exp(-(rows**2) / 2)
    mass = (weights_y * trust) @ weights_x.T
    total = (weights_y * trust * values) @ weights_x.T
    # The square of a distance in the plane is a sum, so the nearest trial is found row by row.
    nearest = np.array([(row**2 + columns**2).min(axis=1) for row in rows])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(nearest <= _REACH**2, total / mass, np.nan)


def _distances(points: Array, places: Array, is_choice: bool) -> Array:
    """Distances in widths, shape `(num_places, num_trials)`."""
    away = np.abs(places[:, None] - points[None, :])
    if is_choice:
        return np.where(away < 1e-6, 0.0, np.inf)
    width = np.clip(float(np.std(points)) * len(points) ** (-1 / 6), _MIN_WIDTH, _MAX_WIDTH)
    scaled: Array = away / width
    return scaled
