"""Axes that show the trials that matter."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.pictures.axes import (
    HEIGHT,
    ValueAxis,
    count_ticks,
    duration_ticks,
    epoch_ticks,
    last_epoch,
    value_axis,
)

finite = st.floats(-1e12, 1e12, allow_nan=False)
curves = st.lists(st.lists(finite, max_size=8), max_size=12)


@given(curves, st.booleans())
def test_an_axis_has_a_width_and_rises(values: list[list[float]], is_minimized: bool) -> None:
    axis = value_axis(values, is_minimized=is_minimized)
    assert axis.low < axis.high
    ticks = axis.ticks()
    assert all(0 <= tick.position <= HEIGHT for tick in ticks)
    assert [tick.position for tick in ticks] == sorted((tick.position for tick in ticks), reverse=True)
    assert len(ticks) <= 12


@given(curves.filter(any), st.booleans())
def test_the_best_value_is_always_on_the_axis(values: list[list[float]], is_minimized: bool) -> None:
    axis = value_axis(values, is_minimized=is_minimized)
    flat = [value for curve in values for value in curve]
    assert 0 <= axis.position(min(flat) if is_minimized else max(flat)) <= HEIGHT


def test_few_decades_are_linear_and_many_logarithmic() -> None:
    assert not value_axis([[0.1, 1.5]], is_minimized=True).is_log
    log = value_axis([[0.01, 3.0]], is_minimized=True)
    assert log.is_log
    assert log.position(0.01) > log.position(0.1) > log.position(3.0)
    assert math.isclose(log.position(0.01) - log.position(0.1), log.position(0.1) - log.position(1.0))
    assert not value_axis([[0.0, 300.0]], is_minimized=True).is_log, "there is no logarithm of zero"


def test_diverged_trials_do_not_press_the_others_flat() -> None:
    sound = [[1.0 / epoch + shift / 50 for epoch in range(1, 11)] for shift in range(10)]
    axis = value_axis([*sound, [1e3, 1e6], [2.0, 5e7, 1e8]], is_minimized=True)
    assert not axis.is_log
    assert 1.1 < axis.high < 2
    assert all(0 <= axis.position(value) <= HEIGHT for curve in sound for value in curve)
    assert axis.position(1e6) == -HEIGHT


def test_outlying_is_only_what_is_worse() -> None:
    poor = [[0.50 + number / 1000] * 5 for number in range(10)]
    axis = value_axis([*poor, [0.99] * 5], is_minimized=False)
    assert 0 <= axis.position(0.99) <= HEIGHT
    assert value_axis([*poor, [1.9] * 5], is_minimized=True).high < 0.6


def test_equal_values_have_an_axis_too() -> None:
    axis = value_axis([[0.25, 0.25]], is_minimized=True)
    assert axis.position(0.25) == pytest.approx(HEIGHT / 2)
    assert value_axis([], is_minimized=True) == ValueAxis(0.0, 1.0, is_log=False)


def test_what_has_no_logarithm_lies_below_a_logarithmic_axis() -> None:
    axis = ValueAxis(-2.0, 0.0, is_log=True)
    assert axis.position(0.0) == axis.position(-1.0) == 2 * HEIGHT


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (-0.06, 0.06, ["-0.06", "-0.04", "-0.02", "0", "0.02", "0.04", "0.06"]),
        (995.0, 1005.0, ["996", "998", "1000", "1002", "1004"]),
    ],
)
def test_linear_ticks_are_round(low: float, high: float, labels: list[str]) -> None:
    assert [tick.label for tick in ValueAxis(low, high, is_log=False).ticks()] == labels


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-2.0, 0.0, ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]),
        (-3.0, 0.1, ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1"]),
        (0.0, 5.0, ["1", "10", "100", "1000", "10000", "100000"]),
    ],
)
def test_log_ticks_are_round(low: float, high: float, labels: list[str]) -> None:
    assert [tick.label for tick in ValueAxis(low, high, is_log=True).ticks()] == labels


@pytest.mark.parametrize(
    ("reported", "budgeted", "last"), [(0, 30, 5), (3, 30, 5), (8, 30, 30), (30, 30, 30), (10, 1000, 13), (1, 1, 2)]
)
def test_the_epoch_axis_ends_with_the_budget_once_that_is_near(reported: int, budgeted: int, last: int) -> None:
    assert last_epoch(reported, budgeted) == last


@given(st.integers(2, 1_000_000))
def test_epoch_ticks_begin_with_the_first(last: int) -> None:
    ticks = epoch_ticks(last)
    assert ticks[0] == 1
    assert ticks == sorted(set(ticks))
    assert ticks[-1] <= last
    assert len(ticks) <= 9


def test_a_scale_can_be_asked_for() -> None:
    assert value_axis([[0.5, 1.0]], is_minimized=True, scale="log").is_log
    assert not value_axis([[0.01, 30.0]], is_minimized=True, scale="linear").is_log
    mixed = value_axis([[-1.0, 0.0, 0.5, 1.0]], is_minimized=True, scale="log")
    assert mixed.is_log
    assert mixed.low == pytest.approx(math.log10(0.5), abs=0.1)
    assert not value_axis([[-1.0, -2.0]], is_minimized=True, scale="log").is_log, "nothing has a logarithm"


@given(st.floats(-1e300, 1e300, allow_nan=False), st.booleans())
def test_coordinates_stay_drawable(value: float, is_log: bool) -> None:
    axis = ValueAxis(-1.0, 1.0, is_log=is_log)
    assert -2001 <= axis.coordinate(value) <= 2001
    inside = 0.0 <= axis.position(value) <= HEIGHT
    assert inside is (-1.0 <= axis.coordinate(value) <= 1.0)
    assert axis.holds(value) is inside


@pytest.mark.parametrize(
    ("last_s", "labels"),
    [
        (5.0, ["0", "1.0 s", "2.0 s", "3.0 s", "4.0 s", "5.0 s"]),
        (100.0, ["0", "30 s", "1 min", "1 min 30 s"]),
        (7 * 3600.0, ["0", "2 h", "4 h", "6 h"]),
        (20 * 86400.0, ["0", "5 d", "10 d", "15 d", "20 d"]),
    ],
)
def test_durations_have_round_ticks(last_s: float, labels: list[str]) -> None:
    assert [label.replace("\u202f", " ") for _, label in duration_ticks(last_s)] == labels


@given(st.integers(1, 10**9))
def test_counts_begin_at_zero(last: int) -> None:
    ticks = [at for at, _ in count_ticks(last)]
    assert ticks[0] == 0
    assert ticks[-1] <= last
    assert 2 <= len(ticks) <= 8
