"""Axes of the charts: which range they span, on which scale, and where their ticks are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from service.web import formats

Scale = Literal["auto", "linear", "log"]
"""How a vertical axis is laid out: `auto` is logarithmic where that shows more."""

HEIGHT = 1000
"""Height of a plot in its own units; the page stretches it."""

_LOG_DECADES = 1.2
_MARGIN = 0.05
_FENCE = 3.0
_MIN_PEERS = 4
_CUT_OFF = 0.01
_MAX_TICKS = 6
_FAR = 1000.0
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis.

    Attributes:
        position: Where, in plot units.
        label: Its number.
    """

    position: float
    label: str


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """The vertical axis, greater values further up.

    Attributes:
        low: Coordinate of the lower end: a value, or its decimal logarithm.
        high: Coordinate of the upper end.
        is_log: Whether coordinates are logarithms.
    """

    low: float
    high: float
    is_log: bool

    def position(self, value: float) -> float:
        """Distance of a value from the top in plot units; at most one plot height beyond either end."""
        if self.is_log and value <= 0:
            return 2.0 * HEIGHT
        coordinate = math.log10(value) if self.is_log else value
        place = (self.high - coordinate) / (self.high - self.low) * HEIGHT
        return min(max(place, -1.0 * HEIGHT), 2.0 * HEIGHT)

    def coordinate(self, value: float) -> float:
        """A value as lines are drawn with it: itself or its decimal logarithm, rising upwards.

        What is too far away to be drawn, such as the logarithm of zero, lies a thousand heights beyond.
        """
        far = _FAR * (self.high - self.low)
        if self.is_log and value <= 0:
            return self.low - far
        natural = math.log10(value) if self.is_log else value
        return min(max(natural, self.low - far), self.high + far)

    @property
    def digits(self) -> int:
        """Significant digits of a coordinate that show a ten-thousandth of the height, and never less than 6."""
        width = self.high - self.low
        greatest = max(abs(self.low), abs(self.high), width)
        return min(max(math.ceil(math.log10(greatest / width)) + 5, 6), 15)

    def share(self, value: float) -> float:
        """Distance of a value from the top in percent of the height, rounded."""
        return round(self.position(value) / HEIGHT * 100, 2)

    def holds(self, value: float) -> bool:
        """Whether a value lies between the ends."""
        return 0 <= self.position(value) <= HEIGHT

    def ticks(self) -> list[Tick]:
        """Round numbers along the axis, from its lower end up."""
        values = _log_ticks(self.low, self.high) if self.is_log else _linear_ticks(self.low, self.high)
        return [Tick(round(self.position(value), 2), formats.number(value, 6)) for value in values]


def value_axis(
    curves: Sequence[Sequence[float]], *, is_minimized: bool, scale: Scale = "auto", least_decades: float = _LOG_DECADES
) -> ValueAxis:
    """The axis that shows all but outlying trials.

    A trial is outlying when the median of its values lies beyond the outer fence (three times the quartile distance) of
    all trials' medians, at the worse end, so a few diverged trials do not press the others flat. The axis spans the
    best value of all and, of the remaining trials, all values but the worst hundredth. Unless its scale is given, it is
    logarithmic where that is more than so many decades.

    Args:
        curves: The values of each trial.
        is_minimized: Whether lower values are better.
        scale: With `log`, only values above 0 count; where there are none, the axis is linear all the same.
        least_decades: Decades of values from which on a logarithmic axis shows more.
    Source: Tukey 1977, "Exploratory Data Analysis", outer fences.
    """
    filled = [curve for curve in curves if curve]
    if scale == "log":
        positive = [[value for value in curve if value > 0] for curve in filled]
        filled = [curve for curve in positive if curve] or filled
    if not filled:
        return ValueAxis(0.0, 1.0, is_log=False)
    values = sorted(value for curve in _without_outlying(filled, is_minimized) for value in curve)
    cut = int(_CUT_OFF * len(values))
    if is_minimized:
        low, high = min(map(min, filled)), values[-1 - cut]
    else:
        low, high = values[cut], max(map(max, filled))
    is_log = scale == "log" or (scale == "auto" and low > 0 and high / low > 10**least_decades)
    if is_log and low > 0:
        return _padded(math.log10(low), math.log10(high), is_log=True)
    return _padded(low, high, is_log=False)


def last_epoch(reported: int, budgeted: int) -> int:
    """Right end of the epoch axis: the budget once a quarter of it is reached, else a little more than reported."""
    if reported * 4 >= budgeted:
        return max(reported, budgeted, 2)
    return max(math.ceil(reported * 1.25), 5)


def epoch_ticks(last: int) -> list[int]:
    """Round epochs from 1 to the last."""
    step = max(1, round(_nice_step(last / _MAX_TICKS)))
    ticks = [epoch for epoch in range(step, last + 1, step) if epoch > 1]
    return [1, *(epoch for epoch in ticks if epoch - 1 >= step / 2)]


def duration_ticks(last_s: float) -> list[tuple[float, str]]:
    """Round durations from 0 to the last, in seconds, with their names."""
    least = last_s / _MAX_TICKS
    step = next((step for step in _STEPS_S if step >= least), None)
    if step is None:
        step = round(_nice_step(least / 86400) * 86400)
    return [(at, formats.seconds(at) if at else "0") for at in range(0, math.floor(last_s) + 1, step)]


def count_ticks(last: int) -> list[tuple[float, str]]:
    """Round counts from 0 to the last, with their names."""
    step = max(1, round(_nice_step(max(last, 1) / _MAX_TICKS)))
    return [(at, formats.count(at)) for at in range(0, last + 1, step)]


def _without_outlying(curves: list[Sequence[float]], is_minimized: bool) -> list[Sequence[float]]:
    if len(curves) < _MIN_PEERS:
        return curves
    medians = [statistics.median(curve) for curve in curves]
    is_log = min(medians) > 0
    coordinates = [math.log10(median) if is_log else median for median in medians]
    first, middle, third = statistics.quantiles(coordinates, n=4, method="inclusive")
    reach = _FENCE * max(third - first, 0.1 if is_log else 0.1 * abs(middle))
    limit = third + reach if is_minimized else first - reach
    pairs = zip(curves, coordinates, strict=True)
    return [curve for curve, at in pairs if (at <= limit if is_minimized else at >= limit)]


def _padded(low: float, high: float, *, is_log: bool) -> ValueAxis:
    width = high - low
    # Equal values, or values equal but for rounding, still need an axis that has a width.
    margin = width * _MARGIN if width > 1e-9 * max(abs(low), abs(high)) else max(abs(high) * _MARGIN, 1e-6)
    return ValueAxis(low - margin, high + margin, is_log=is_log)


def _nice_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _linear_ticks(low: float, high: float) -> Iterator[float]:
    step = _nice_step((high - low) / _MAX_TICKS)
    for position in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield float(f"{position * step:.12g}")


def _log_ticks(low: float, high: float) -> Iterator[float]:
    stride = math.ceil((high - low) / (_MAX_TICKS + 2))
    factors = (1, 2, 5) if high - low < 2.5 else (1, 3) if high - low < 4 else (1,)
    for exponent in range(math.floor(low), math.ceil(high) + 1):
        for factor in factors if exponent % stride == 0 else ():
            if low <= math.log10(factor) + exponent <= high:
                yield float(f"{factor}e{exponent}")
