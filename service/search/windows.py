"""Windows of a round: what it draws each parameter from, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Space
from caviar.contract.views import WindowView
from service.search.neighbourhood import MIN_SPREAD_TRIALS, Neighbourhood
from service.search.parameters import AnyParameter, cell, choice_at

Numeric = FloatParameter | IntParameter
Array = npt.NDArray[np.float64]

# Share of the draws that falls into a window, in its middle.
COVERED = 0.8
# A window is at least so wide.
_NARROWEST = 0.005
# An elite presses against an end of the range if this share of it, by weight, lies within the margin of that end.
_PRESSING_SHARE = 0.5
_MARGIN = 0.08
# Of windows wider than this nothing was narrowed.
_WIDE = 0.9
# Ends of windows that moved by less than this have stayed.
_SAME = 0.02
# A choice leads if it has so many times an even share.
_LEADING = 1.5


@dataclass(frozen=True)
class Drawn:
    """What a round draws.

    Attributes:
        points: Points of the unit cube, shape `(m, num_parameters)`.
        chances: How likely each is to be drawn, sum 1, shape `(m,)`.
        global_fraction: Share of the draws that come from anywhere instead.
    """

    points: Array
    chances: Array
    global_fraction: float

    def middle(self, position: int) -> tuple[float, float]:
        """Ends of the middle eight tenths of the draws of one parameter, those from anywhere left out."""
        order = np.argsort(self.points[:, position], kind="stable")
        below = np.cumsum(self.chances[order])
        ends = np.searchsorted(below, [(1 - COVERED) / 2, (1 + COVERED) / 2])
        low, high = self.points[order[np.minimum(ends, len(order) - 1)], position].tolist()
        if high - low < _NARROWEST:
            low = min(max(0.0, (low + high - _NARROWEST) / 2), 1.0 - _NARROWEST)
            high = low + _NARROWEST
        return low, high

    def shares(self, parameter: CategoricalParameter, position: int) -> list[float]:
        """Probability of each choice, all draws counted."""
        count = len(parameter.choices)
        chosen = [choice_at(parameter, unit) for unit in self.points[:, position].tolist()]
        shares = np.bincount(chosen, weights=self.chances, minlength=count)
        mixed: list[float] = ((1 - self.global_fraction) * shares + self.global_fraction / count).tolist()
        return mixed


def whole_space(space: Space) -> dict[str, WindowView]:
    """Windows of a round that covers everything evenly."""
    return {name: _whole(parameter, "covers the whole range evenly") for name, parameter in space.items()}


def points_within(space: Space, windows: Mapping[str, WindowView], picks: Array) -> Array:
    """Points spread evenly over the windows.

    Args:
        space: The search space.
        windows: What to stay within, by parameter.
        picks: Coordinates in (0, 1), shape `(m, num_parameters)`.
    Returns:
        Unit coordinates of all parameters, whether they will apply or not, shape `(m, num_parameters)`.
    """
    points = np.empty_like(picks)
    for position, name in enumerate(space.names):
        window, column = windows[name], picks[:, position]
        if window.weights is None:
            points[:, position] = window.unit_low + column * (window.unit_high - window.unit_low)
        else:
            chosen = np.searchsorted(np.cumsum(window.weights), column, side="right")
            points[:, position] = (np.minimum(chosen, len(window.weights) - 1) + 0.5) / len(window.weights)
    return points


def make_windows(
    near: Neighbourhood, space: Space, drawn: Drawn, previous: Mapping[str, WindowView]
) -> dict[str, WindowView]:
    """Windows around what a round draws.

    Args:
        near: The elite and its spread.
        space: The search space.
        drawn: What the round draws, and how often.
        previous: Windows of the round before in this space, to tell what changed.
    """
    windows = {}
    for position, (name, parameter) in enumerate(space.items()):
        centres, _ = near.centres(position)
        if not centres:
            windows[name] = _whole(parameter, f"kept wide: {name} applies to none of the best trials")
        elif isinstance(parameter, CategoricalParameter):
            windows[name] = _choices(name, parameter, near, position, drawn.shares(parameter, position))
        else:
            low, high = drawn.middle(position)
            windows[name] = _range(name, parameter, near.centres(position), (low, high), previous[name])
    return windows


def _whole(parameter: AnyParameter, reason: str) -> WindowView:
    if isinstance(parameter, CategoricalParameter):
        count = len(parameter.choices)
        return WindowView(weights=[1 / count] * count, reason=reason)
    return WindowView(low=parameter.low, high=parameter.high, reason=reason)


def _range(
    name: str,
    parameter: Numeric,
    elite: tuple[Sequence[float], Sequence[float]],
    ends: tuple[float, float],
    before: WindowView,
) -> WindowView:
    (centres, weights), (low, high) = elite, ends
    reasons = [_change(low, high, before), *_pressure(name, parameter, centres, weights)]
    best = f"the best trials lie from {_shown(parameter, min(centres))} to {_shown(parameter, max(centres))}"
    return WindowView(
        low=parameter.from_unit(low),
        high=parameter.from_unit(high),
        unit_low=low,
        unit_high=high,
        reason="; ".join([f"{reasons[0]}: {best}", *reasons[1:]]),
    )


def _shown(parameter: Numeric, unit: float) -> str:
    return f"{parameter.from_unit(unit):.4g}"


def _change(low: float, high: float, before: WindowView) -> str:
    width, width_before = high - low, before.unit_high - before.unit_low
    if width > _WIDE:
        return "kept wide"
    if width > width_before + _SAME:
        return f"widened again to {width:.0%} of the range"
    if width < width_before - _SAME:
        return f"narrowed to {width:.0%} of the range"
    if abs(low - before.unit_low) > _SAME:
        return f"moved {'up' if low > before.unit_low else 'down'}, {width:.0%} of the range"
    return f"kept at {width:.0%} of the range"


def _pressure(name: str, parameter: Numeric, centres: Sequence[float], weights: Sequence[float]) -> list[str]:
    margin = max(_MARGIN, cell(parameter))
    # Of two values one is chosen half of the time by chance alone, and of one or two trials nothing can be said.
    if margin >= _PRESSING_SHARE or len(centres) < MIN_SPREAD_TRIALS:
        return []
    pairs = list(zip(centres, weights, strict=True))
    at_low = sum(weight for centre, weight in pairs if centre <= margin)
    at_high = sum(weight for centre, weight in pairs if centre >= 1 - margin)
    found = []
    for share, end, bound, wanted in (
        (at_low, "lower", parameter.low, "lower"),
        (at_high, "upper", parameter.high, "higher"),
    ):
        if share >= _PRESSING_SHARE:
            found.append(
                f"the best trials press against the {end} end of {name} ({bound:g}): consider a {wanted} limit"
            )
    return found


def _choices(
    name: str, parameter: CategoricalParameter, near: Neighbourhood, position: int, drawn: list[float]
) -> WindowView:
    centres, weights = near.centres(position)
    count = len(parameter.choices)
    shares = [0.0] * count
    for centre, weight in zip(centres, weights, strict=True):
        shares[choice_at(parameter, centre)] += weight
    leader = max(range(count), key=shares.__getitem__)
    if shares[leader] < _LEADING / count:
        reason = f"kept even: no choice of {name} stands out among the best trials"
    else:
        num_trials = sum(choice_at(parameter, centre) == leader for centre in centres)
        reason = f"leaning to {parameter.choices[leader]!r}: {num_trials} of the {len(centres)} best trials have it"
    return WindowView(weights=drawn, reason=reason)
