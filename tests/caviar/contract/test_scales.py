"""Scales are exact, rise strictly, and lose nothing near 0 and 1."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caviar.contract.scales import SCALES, Axis, grid_value

NATURAL = {
    "linear": st.floats(-1e100, 1e100),
    "log": st.floats(1e-300, 1e300),
    "reverse_log": st.floats(0, 1, exclude_max=True),
    "logit": st.floats(1e-300, 1, exclude_max=True),
}


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data())
def test_the_way_there_and_back_ends_where_it_began(name: Any, data: Any) -> None:
    scale = SCALES[name]
    x = data.draw(NATURAL[name])
    back = scale.backward(scale.forward(x))
    if name == "log":
        # A coordinate of size t carries x to t times the precision of a double.
        assert back == pytest.approx(x, rel=1e-12)
    elif name == "logit" and x < 0.5:
        assert back == pytest.approx(x, rel=1e-12)
    elif name == "linear":
        assert back == x
    else:
        assert abs(back - x) <= 4 * math.ulp(max(x, 1e-300))


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data())
def test_a_greater_value_never_has_a_lesser_coordinate(name: Any, data: Any) -> None:
    scale = SCALES[name]
    a, b = sorted((data.draw(NATURAL[name]), data.draw(NATURAL[name])))
    assert scale.forward(a) <= scale.forward(b)
    assert scale.backward(scale.forward(a)) <= scale.backward(scale.forward(b))
    if b - a > 1e-9 * max(abs(a), abs(b)):
        assert scale.forward(a) < scale.forward(b)


@given(st.floats(0.5, 1))
def test_the_complement_of_a_value_near_one_is_exact(x: Any) -> None:
    assert Fraction(1.0 - x) == 1 - Fraction(x)


@given(st.floats(0.5, 1, exclude_max=True))
@example(1 - 2**-53)
@example(0.999)
def test_the_reverse_log_coordinate_follows_the_exact_complement(x: Any) -> None:
    with localcontext() as context:
        context.prec = 50
        complement = 1 - Fraction(x)
        exact = -(Decimal(complement.numerator) / Decimal(complement.denominator)).ln()
    t = SCALES["reverse_log"].forward(x)
    assert abs(Decimal(t) - exact) <= 2 * Decimal(math.ulp(t))


@given(st.floats(0, 36))
@example(1e-300)
def test_the_way_back_from_reverse_log_is_the_nearest_double_or_its_neighbour(t: Any) -> None:
    with localcontext() as context:
        context.prec = 400
        exact = 1 - (-Decimal(t)).exp()
    x = SCALES["reverse_log"].backward(t)
    assert abs(Decimal(x) - exact) <= 2 * Decimal(math.ulp(x))


@given(st.floats(-700, 36))
def test_the_way_back_from_logit_keeps_the_digits_of_the_smaller_side(t: Any) -> None:
    with localcontext() as context:
        context.prec = 60
        exact = 1 / (1 + (-Decimal(t)).exp())
    x = SCALES["logit"].backward(t)
    assert abs(Decimal(x) - exact) <= 4 * Decimal(math.ulp(x))


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("linear", [-1e300, 0, 1e300], [math.nan, math.inf, -math.inf]),
        ("log", [5e-324, 1e308], [0, -1, math.nan, math.inf]),
        ("reverse_log", [0, 0.5, 1 - 2**-53], [-5e-324, 1, math.nan]),
        ("logit", [5e-324, 1 - 2**-53], [0, 1, math.nan]),
    ],
)
def test_domains_end_where_the_coordinate_would_be_infinite(name: Any, inside: Any, outside: Any) -> None:
    scale = SCALES[name]
    assert all(scale.contains(x) for x in inside)
    assert not any(scale.contains(x) for x in outside)
    assert all(math.isfinite(scale.forward(x)) for x in inside)


@given(low=st.integers(-1000, 1000), step=st.integers(1, 1000), position=st.integers(0, 1000), places=st.integers(0, 6))
def test_grid_values_are_the_decimals_that_a_person_would_write(
    low: Any, step: Any, position: Any, places: Any
) -> None:
    unit = Decimal(1).scaleb(-places)
    value = grid_value(float(low * unit), float(step * unit), position)
    assert value == float((low + position * step) * unit)


@given(low=st.integers(-(2**52), 2**52), step=st.integers(1, 1000), position=st.integers(0, 1000))
def test_grid_values_of_whole_numbers_are_whole_numbers(low: Any, step: Any, position: Any) -> None:
    value = grid_value(low, step, position)
    assert isinstance(value, int)
    assert value == low + position * step


@pytest.mark.parametrize("name", SCALES)
def test_the_ends_of_an_axis_are_its_bounds(name: Any) -> None:
    axis = Axis(SCALES[name], 0.1, 0.7)
    assert (axis.from_unit(0.0), axis.from_unit(1.0)) == (0.1, 0.7)
    assert (axis.to_unit(0.1), axis.to_unit(0.7)) == (0.0, 1.0)
    assert axis.num_values is None
    assert axis.edges == (0.1, 0.7)


def test_a_grid_owns_half_a_step_beyond_both_ends() -> None:
    axis = Axis(SCALES["linear"], 1, 4, 1)
    assert axis.edges == (0.5, 4.5)
    assert axis.num_values == 4
    assert [axis.from_unit(u) for u in (0.0, 0.24, 0.26, 0.74, 0.76, 1.0)] == [1, 1, 2, 3, 4, 4]
