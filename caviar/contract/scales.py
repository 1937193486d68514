"""Scales: exact maps between a natural value and the coordinate in which it is uniform.

| scale | coordinate of x | domain |
|---|---|---|
| `linear` | x | all finite numbers |
| `log` | ln x | x > 0 |
| `reverse_log` | -ln(1 - x), the 1-β scale | 0 <= x < 1 |
| `logit` | ln(x / (1 - x)) | 0 < x < 1 |

Every map rises strictly. Near 1 nothing is lost: 1 - x is exact in floating point for x in [0.5, 1] (Sterbenz's lemma),
and `log1p`/`expm1` keep the precision near 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

ScaleName = Literal["linear", "log", "reverse_log", "logit"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A strictly rising map from natural values to coordinates, and back.

    Attributes:
        name: The scale's name on the wire.
        domain: The natural values that it takes, in words.
        contains: Whether a natural value lies in the domain.
        forward: Natural value to coordinate.
        backward: Coordinate to natural value.
    """

    name: ScaleName
    domain: str
    contains: Callable[[float], bool]
    forward: Callable[[float], float]
    backward: Callable[[float], float]


def _identity(x: float) -> float:
    return float(x)


def _reverse_log(x: float) -> float:
    return -math.log1p(-x)


def _reverse_log_inverse(t: float) -> float:
    return -math.expm1(-t)


def _logit(x: float) -> float:
    return math.log(x) - math.log1p(-x)


def _logit_inverse(t: float) -> float:
    # Each branch exponentiates a number <= 0, so nothing overflows and the smaller of x and 1 - x keeps its digits.
    if t < 0:
        odds = math.exp(t)
        return odds / (1.0 + odds)
    return 1.0 / (1.0 + math.exp(-t))


SCALES: dict[ScaleName, Scale] = {
    "linear": Scale("linear", "any finite number", math.isfinite, _identity, _identity),
    "log": Scale("log", "x > 0", lambda x: 0 < x < math.inf, math.log, math.exp),
    "reverse_log": Scale("reverse_log", "0 <= x < 1", lambda x: 0 <= x < 1, _reverse_log, _reverse_log_inverse),
    "logit": Scale("logit", "0 < x < 1", lambda x: 0 < x < 1, _logit, _logit_inverse),
}


@dataclass(frozen=True, slots=True)
class Axis:
    """A numeric parameter's range, laid on [0, 1] in its scale's coordinate.

    A uniform draw of the unit coordinate is a draw of the parameter from its scale. Where the parameter has a step,
    each grid value owns the cell of half a step to both sides in natural units, so the values at the two ends are drawn
    as often as their neighbours.

    Attributes:
        scale: The map.
        low: Least natural value, inclusive.
        high: Greatest natural value, inclusive.
        step: Distance of grid values in natural units; None for a continuous parameter.
    """

    scale: Scale
    low: float
    high: float
    step: float | None = None

    @property
    def edges(self) -> tuple[float, float]:
        """Natural values at the unit coordinates 0 and 1: the range, or half a step beyond it."""
        margin = self.step / 2 if self.step else 0.0
        return self.low - margin, self.high + margin

    @property
    def num_values(self) -> int | None:
        """How many grid values there are; None for a continuous parameter."""
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    @property
    def resolution(self) -> int:
        """About how many values floating point tells apart, both as they are and as coordinates; at least 1."""
        start, end = (self.scale.forward(edge) for edge in self.edges)
        return max(1, int(min(_distance(start, end), _distance(self.low, self.high))))

    def to_unit(self, value: float) -> float:
        """Unit coordinate in [0, 1] of a natural value within the range."""
        start, end = (self.scale.forward(edge) for edge in self.edges)
        unit = (self.scale.forward(value) - start) / (end - start)
        return min(max(unit, 0.0), 1.0)

    def from_unit(self, unit: float) -> float:
        """Natural value at a unit coordinate in [0, 1]; the nearest grid value where there is a step."""
        start, end = (self.scale.forward(edge) for edge in self.edges)
        natural = self.scale.backward(start + unit * (end - start))
        if self.step is None or self.num_values is None:
            return self.low if unit <= 0 else self.high if unit >= 1 else min(max(natural, self.low), self.high)
        position = math.floor((natural - self.edges[0]) / self.step)
        return min(grid_value(self.low, self.step, min(max(position, 0), self.num_values - 1)), self.high)


def _distance(a: float, b: float) -> float:
    return (b - a) / math.ulp(max(abs(a), abs(b)))


def grid_value(low: float, step: float, position: int) -> float:
    """The grid value `low + position * step`, without the binary dust of 0.1 + 2 * 0.1."""
    if float(low).is_integer() and float(step).is_integer():
        return low + position * step
    return float(Decimal(repr(low)) + position * Decimal(repr(step)))
