"""Numbers, times and configurations as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.cli import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (512, "512"),
        (1234567, "1234567"),
        (0.0839612, "0.08396"),
        (1.5552746, "1.555"),
        (0.00001234567, "1.235e-05"),
        (123456.7, "1.235e+05"),
        (-0.5, "-0.5"),
        (1.0, "1"),
        (0.99, "0.99"),
        (0.9981, "0.9981"),
        (0.99987, "0.99987"),
        (0.999871234, "0.999871"),
    ],
)
def test_numbers_have_four_digits_or_those_that_tell_them_from_one(value: float | None, text: str) -> None:
    assert formats.number(value) == text


@given(st.floats(min_value=0.99, max_value=1.0, exclude_min=True, exclude_max=True))
def test_distance_to_one_is_shown_to_a_percent(value: float) -> None:
    shown = float(formats.number(value))
    assert abs((1 - shown) - (1 - value)) <= 0.01 * (1 - value) + 1e-16


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.8312, "0.83 s"),
        (9.94, "9.9 s"),
        (9.99, "10 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600 * 3 + 60 * 12, "3 h 12 min"),
        (86400 * 2 + 3600 * 4, "2 d 4 h"),
    ],
)
def test_durations_have_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


def test_configuration_is_one_line() -> None:
    params: dict[str, bool | int | float | str] = {"rate": 0.012345678, "units": 64, "nesterov": True, "opt": "adam"}
    assert formats.configuration(params) == "rate=0.01235  units=64  nesterov=true  opt=adam"


def test_sparkline_follows_the_values() -> None:
    assert formats.sparkline([]) == ""
    assert formats.sparkline([2.0, 2.0]) == "▁▁"
    assert formats.sparkline([0.0, 7.0]) == "▁█"
    assert formats.sparkline([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]) == "▁▂▃▄▅▆▇█"


@given(st.lists(st.floats(-1e6, 1e6), min_size=33, max_size=500))
def test_long_sparkline_keeps_its_width_and_its_end(values: list[float]) -> None:
    assert len(formats.sparkline(values)) == 32
    flat = [1.0] * len(values)
    assert formats.sparkline([*flat, 9.0])[-1] == "█"
