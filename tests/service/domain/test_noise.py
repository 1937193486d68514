"""The noise of repeats, against SciPy and by hand."""

from __future__ import annotations

import math

import pytest
from scipy.special import stdtrit

from service.domain.noise import Group, pooled, student_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 20, 100, 5000])
@pytest.mark.parametrize("probability", [0.9, 0.975])
def test_the_quantile_is_that_of_student(probability: float, freedom: int) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(float(stdtrit(freedom, probability)), rel=2e-3)


def test_noise_is_pooled_over_configurations_with_two_values_or_more() -> None:
    noise = pooled([Group(3, 0.5, 0.02), Group(1, 0.1, 0.0), Group(2, 0.9, 0.04)])
    assert noise is not None
    assert (noise.num_configurations, noise.num_trials) == (2, 5)
    assert noise.sd == pytest.approx(math.sqrt(0.06 / 3))
    assert noise.margin == pytest.approx(3.182446 * noise.sd * math.sqrt(2), rel=2e-3)


def test_without_repeats_nothing_is_known_of_the_noise() -> None:
    assert pooled([Group(1, 0.1, 0.0), Group(1, 0.2, 0.0)]) is None
    assert Group(1, 0.1, 0.0).sd is None


def test_equal_values_make_no_noise() -> None:
    noise = pooled([Group(4, 0.5, 0.0)])
    assert noise is not None
    assert (noise.sd, noise.margin) == (0.0, 0.0)
