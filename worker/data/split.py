"""Splits of rows into training, validation and test part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.data.errors import DataError
from worker.data.table import Array


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of rows; no row is in two parts and every row is in one."""

    train: Array
    validation: Array
    test: Array


def split(
    num_rows: int,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    classes: Array | None = None,
    num_test: int | None = None,
) -> Split:
    """Deal shuffled rows out to three parts.

    Args:
        num_rows: Rows in all.
        validation_fraction: Share of the validation part; of the rows outside the test part if `num_test` is given.
        test_fraction: Share of the test part; passed over if `num_test` is given.
        seed: The same one gives the same split.
        classes: Class of each row, shape `(num_rows,)`; each part then has its share of every class.
        num_test: How many of the last rows are the test part already.
    Raises:
        DataError: There are too few rows, or too few of a class, for every part.
    """
    random = np.random.default_rng(seed)
    own_test = np.arange(num_rows - (num_test or 0), num_rows)
    order = random.permutation(num_rows - len(own_test))
    share = 0.0 if num_test is not None else test_fraction
    strata = [order] if classes is None else [order[classes[order] == c] for c in np.unique(classes)]
    dealt = [
        _deal(rows, validation_fraction, share, None if classes is None else number)
        for number, rows in enumerate(strata)
    ]
    train, validation, test = (random.permutation(np.concatenate(part)) for part in zip(*dealt, strict=True))
    return Split(train, validation, own_test if num_test is not None else test)


def _deal(rows: Array, validation: float, test: float, number: int | None) -> tuple[Array, Array, Array]:
    least = 2 if test == 0 else 3
    if len(rows) < least:
        whose = "" if number is None else f" of class {number}"
        raise DataError(
            f"{len(rows)} row(s){whose}, expected at least {least}, one for each part; add rows, join rare "
            "classes, or set labels to number if they are no classes"
        )
    num_test = 0 if test == 0 else max(1, min(round(test * len(rows)), len(rows) - 2))
    num_validation = max(1, min(round(validation * len(rows)), len(rows) - num_test - 1))
    return (rows[num_test + num_validation :], rows[num_test : num_test + num_validation], rows[:num_test])
