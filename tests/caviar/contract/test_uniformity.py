"""Draws are uniform in the coordinate of their scale; grids, whole numbers and choices have their exact shares.

The seeds are fixed, so each test either always passes or always fails. A p-value under 1e-4 would call a draw biased.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from caviar.contract.scales import SCALES
from caviar.contract.space import Parameter

PARAMETER: TypeAdapter[Any] = TypeAdapter(Parameter)
UNITS = np.random.default_rng(20_261).random(20_000).tolist()
P_BIASED = 1e-4


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [
        ("linear", -3.0, 7.0),
        ("log", 1e-5, 1.0),
        ("log", 1e-12, 1e12),
        ("reverse_log", 0.0, 0.5),
        ("reverse_log", 0.9, 0.999),
        ("reverse_log", 0.0, 1 - 2**-53),
        ("logit", 1e-6, 0.3),
        ("logit", 0.001, 0.999),
    ],
)
def test_real_draws_are_uniform_in_the_coordinate_of_their_scale(scale: Any, low: Any, high: Any) -> None:
    parameter = PARAMETER.validate_python({"type": "float", "low": low, "high": high, "scale": scale})
    coordinates = [SCALES[scale].forward(parameter.from_unit(unit)) for unit in UNITS]
    start, end = SCALES[scale].forward(low), SCALES[scale].forward(high)
    assert stats.kstest(coordinates, stats.uniform(start, end - start).cdf).pvalue > P_BIASED


def test_half_of_the_draws_of_beta_lie_in_the_upper_decade() -> None:
    parameter = PARAMETER.validate_python({"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log"})
    share = sum(parameter.from_unit(unit) >= 0.99 for unit in UNITS) / len(UNITS)
    assert share == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / len(UNITS)))
    assert parameter.from_unit(0.5) == pytest.approx(0.99, rel=1e-12)


def _exact_shares(body: dict[str, Any]) -> Any:
    forward, step = SCALES[body["scale"]].forward, body["step"]
    count = round((body["high"] - body["low"]) / step) + 1
    edges = [forward(body["low"] + (i - 0.5) * step) for i in range(count + 1)]
    return np.diff(edges) / (edges[-1] - edges[0])


@pytest.mark.parametrize(
    "body",
    [
        {"type": "int", "low": 1, "high": 4, "scale": "linear", "step": 1},
        {"type": "int", "low": -5, "high": 5, "scale": "linear", "step": 5},
        {"type": "int", "low": 1, "high": 10, "scale": "log", "step": 1},
        {"type": "int", "low": 16, "high": 80, "scale": "log", "step": 16},
        {"type": "int", "low": 0, "high": 1, "scale": "linear", "step": 1},
        {"type": "float", "low": 0.1, "high": 0.7, "scale": "linear", "step": 0.1},
        {"type": "float", "low": 0.5, "high": 4.0, "scale": "log", "step": 0.5},
        {"type": "float", "low": 0.5, "high": 0.9, "scale": "reverse_log", "step": 0.1},
        {"type": "float", "low": 0.2, "high": 0.8, "scale": "logit", "step": 0.2},
    ],
)
def test_every_grid_value_is_drawn_as_often_as_its_cell_is_wide_the_two_ends_too(body: Any) -> None:
    parameter = PARAMETER.validate_python(body)
    shares = _exact_shares(body)
    positions = [round((parameter.from_unit(unit) - body["low"]) / body["step"]) for unit in UNITS]
    counts = np.bincount(positions, minlength=len(shares))
    assert len(counts) == len(shares)
    assert stats.chisquare(counts, shares * len(UNITS)).pvalue > P_BIASED
    if body["scale"] == "linear":
        assert np.allclose(shares, 1 / len(shares))


def test_the_test_would_notice_ends_that_are_drawn_half_as_often() -> None:
    # What rounding a draw over [low, high] does, and what this contract must not do.
    counts = np.bincount([round(1 + unit * 3) for unit in UNITS], minlength=5)[1:]
    assert stats.chisquare(counts, np.full(4, len(UNITS) / 4)).pvalue < 1e-100


@pytest.mark.parametrize("num_choices", [1, 2, 3, 7, 100])
def test_choices_have_equal_shares(num_choices: Any) -> None:
    parameter = PARAMETER.validate_python({"type": "categorical", "choices": list(range(num_choices))})
    counts = np.bincount([parameter.from_unit(unit) for unit in UNITS], minlength=num_choices)
    assert len(counts) == num_choices
    assert num_choices == 1 or stats.chisquare(counts).pvalue > P_BIASED
    assert [parameter.from_unit(parameter.to_unit(choice)) for choice in range(num_choices)] == list(range(num_choices))
