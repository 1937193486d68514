"""Splits: disjoint, complete, stratified, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.data.errors import DataError
from worker.data.split import Split, split

FRACTIONS = st.tuples(st.floats(0.05, 0.45), st.one_of(st.just(0.0), st.floats(0.05, 0.45)))
SEEDS = st.integers(0, 2**53 - 1)


def rows(parts: Split) -> list[int]:
    return sorted(np.concatenate([parts.train, parts.validation, parts.test]).tolist())


@given(st.integers(3, 300), FRACTIONS, SEEDS)
def test_every_row_is_in_exactly_one_part(num_rows: int, fractions: tuple[float, float], seed: int) -> None:
    validation, test = fractions
    parts = split(num_rows, validation_fraction=validation, test_fraction=test, seed=seed)
    assert rows(parts) == list(range(num_rows))
    assert len(parts.train) >= 1
    assert abs(len(parts.validation) - validation * num_rows) <= 1
    assert abs(len(parts.test) - test * num_rows) <= 1
    assert (len(parts.test) == 0) == (test == 0)


@given(st.lists(st.integers(3, 60), min_size=2, max_size=6), FRACTIONS, SEEDS)
def test_each_part_has_its_share_of_every_class(sizes: list[int], fractions: tuple[float, float], seed: int) -> None:
    validation, test = fractions
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = split(len(classes), validation_fraction=validation, test_fraction=test, seed=seed, classes=classes)
    assert rows(parts) == list(range(len(classes)))
    for number, size in enumerate(sizes):
        counts = [int((classes[part] == number).sum()) for part in (parts.train, parts.validation, parts.test)]
        assert counts[0] >= 1
        assert abs(counts[1] - validation * size) <= 1
        assert abs(counts[2] - test * size) <= 1


def test_the_seed_alone_decides() -> None:
    classes = np.arange(90) % 3
    first, again, other = (
        split(90, validation_fraction=0.2, test_fraction=0.2, seed=seed, classes=classes) for seed in (5, 5, 6)
    )
    assert np.array_equal(first.train, again.train)
    assert np.array_equal(first.validation, again.validation)
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(np.sort(first.validation), np.sort(other.validation))


def test_rows_are_shuffled() -> None:
    parts = split(1000, validation_fraction=0.2, test_fraction=0.2, seed=0)
    assert abs(float(parts.validation.mean()) - 499.5) < 80
    assert not np.array_equal(parts.train, np.sort(parts.train))


def test_classes_are_mixed_within_a_part() -> None:
    parts = split(300, validation_fraction=0.2, test_fraction=0.2, seed=0, classes=np.arange(300) // 100)
    neighbours = np.diff(np.arange(300)[parts.train] // 100)
    assert np.count_nonzero(neighbours) > 60


def test_a_source_keeps_its_own_test_part() -> None:
    classes = np.arange(100) % 2
    parts = split(100, validation_fraction=0.25, test_fraction=0.5, seed=3, classes=classes, num_test=20)
    assert parts.test.tolist() == list(range(80, 100))
    assert len(parts.validation) == 20
    assert rows(parts) == list(range(100))


@pytest.mark.parametrize("test_fraction", [0.0, 0.2])
def test_a_rare_class_is_refused(test_fraction: float) -> None:
    least = 2 if test_fraction == 0 else 3
    classes = np.array([0] * 50 + [1] * (least - 1))
    with pytest.raises(DataError, match=f"of class 1, expected at least {least}"):
        split(len(classes), validation_fraction=0.2, test_fraction=test_fraction, seed=0, classes=classes)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match=r"2 row\(s\), expected at least 3"):
        split(2, validation_fraction=0.2, test_fraction=0.2, seed=0)
