"""Scaling is measured on the rows it is given and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from worker.data.errors import DataError
from worker.data.scaling import fit

TRAIN = np.array([[0.0, 10.0, 7.0], [2.0, 30.0, 7.0], [4.0, 20.0, 7.0]])


def test_minmax_lays_each_column_on_zero_to_one() -> None:
    scaled = fit(TRAIN, "minmax")(TRAIN)
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [[0.0, 0.0, 0.0], [0.5, 1.0, 0.0], [1.0, 0.5, 0.0]]


def test_rows_beyond_the_training_part_may_leave_the_range() -> None:
    assert fit(TRAIN, "minmax")(np.array([[8.0, 0.0, 9.0]])).tolist() == [[2.0, -0.5, 2.0]]


def test_standard_gives_mean_zero_and_deviation_one() -> None:
    random = np.random.default_rng(0).normal(5.0, 3.0, (500, 4))
    scaled = fit(random, "standard")(random)
    assert np.allclose(scaled.mean(axis=0), 0.0, atol=1e-5)
    assert np.allclose(scaled.std(axis=0), 1.0, atol=1e-5)


def test_a_constant_column_is_only_shifted() -> None:
    assert fit(TRAIN, "standard")(TRAIN)[:, 2].tolist() == [0.0, 0.0, 0.0]


def test_none_changes_nothing() -> None:
    assert fit(TRAIN, "none")(TRAIN).tolist() == TRAIN.tolist()


def test_pixels_are_scaled_together() -> None:
    # The second pixel is hardly ever bright: of itself it would be blown up 85 times.
    pixels = np.array([[0, 0], [255, 3]], dtype=np.uint8)
    scaled = fit(pixels, "minmax")(pixels)
    assert np.allclose(scaled, pixels / 255.0)
    standard = fit(pixels, "standard")(pixels)
    assert abs(float(standard.mean())) < 1e-6
    assert abs(float(standard.std()) - 1.0) < 1e-5


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
def test_booleans_are_numbers(scaling: str) -> None:
    flags = np.array([[True], [False], [True]])
    scaled = fit(flags, scaling)(flags)  # type: ignore[arg-type]
    assert scaled[0, 0] > scaled[1, 0]


def test_numbers_too_large_for_32_bits_are_refused() -> None:
    huge = np.array([[1e300], [2e300]])
    assert fit(huge, "minmax")(huge).tolist() == [[0.0], [1.0]]
    with pytest.raises(DataError, match="too large for 32-bit"):
        fit(huge, "none")(huge)
