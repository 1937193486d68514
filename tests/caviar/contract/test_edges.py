"""Ranges at the edges of floating point are refused in words, or can be drawn from."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from caviar.contract.errors import field_errors
from caviar.contract.space import Space


def _field(**parameter: Any) -> str:
    body = {"x": {"type": "float", **parameter}}
    with pytest.raises(ValidationError) as caught:
        Space.model_validate(body)
    [error] = field_errors(caught.value, body)
    return error.field


@pytest.mark.parametrize("low", [1e300, 1e-300, 3.0, 5e-5])
def test_ends_that_are_one_number_on_the_scale_are_refused(low: float) -> None:
    high = math.nextafter(low, math.inf)
    if math.log(low) < math.log(high):
        space = Space.model_validate({"x": {"type": "float", "low": low, "high": high, "scale": "log"}})
        assert [space.params_at([unit])["x"] for unit in (0.0, 1.0)] == [low, high]
    else:
        assert _field(low=low, high=high, scale="log") == "x.high"


def test_a_step_that_makes_the_range_endless_is_refused() -> None:
    assert _field(low=-8e307, high=8e307, step=1.6e308) == "x.step"


def test_the_widest_range_with_a_step_is_drawn_from() -> None:
    space = Space.model_validate({"x": {"type": "float", "low": -4e307, "high": 4e307, "step": 8e307}})
    assert {space.params_at([unit])["x"] for unit in (0.0, 0.3, 0.7, 1.0)} == {-4e307, 4e307}
