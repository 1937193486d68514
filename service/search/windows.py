"""Windows of a round: what it draws each parameter from, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Space
from caviar.contract.views import WindowView
from service.search.neighbourhood import Neighbourhood, weighted
from service.search.parameters import AnyParameter, cell, choice_at

Numeric = FloatParameter | IntParameter

# Share of the draws near the elite that falls into a window, in its middle.
COVERED = 0.8
# An elite presses against an end of the range if this share of it, by weight, lies within the margin of that end.
_PRESSING_SHARE = 0.5
_MARGIN = 0.08
# Of windows wider than this nothing was narrowed.
_WIDE = 0.9
# Ends of windows that moved by less than this have stayed.
_SAME = 0.02
# A choice leads if it has so many times an even share.
_LEADING = 1.5


def whole_space(space: Space) -> dict[str, WindowView]:
    """Windows of a round that covers everything evenly."""
    return {name: _whole(parameter, "covers the whole range evenly") for name, parameter in space.items()}


def point_within(space: Space, windows: Mapping[str, WindowView], picks: Sequence[float]) -> list[float]:
    """A point spread evenly over the windows.

    Args:
        space: The search space.
        windows: What to stay within, by parameter.
        picks: Coordinates in (0, 1), one for each parameter.
    Returns:
        Unit coordinates of all parameters, whether they will apply or not.
    """
    point = []
    for (name, _), pick in zip(space.items(), picks, strict=True):
        window = windows[name]
        if window.weights is None:
            point.append(window.unit_low + pick * (window.unit_high - window.unit_low))
        else:
            point.append((weighted(pick, window.weights) + 0.5) / len(window.weights))
    return point


def make_windows(near: Neighbourhood, space: Space, previous: Mapping[str, WindowView]) -> dict[str, WindowView]:
    """Windows around the elite.

    Args:
        near: The elite and its spread.
        space: The search space.
        previous: Windows of the round before, to tell what changed.
    """
    windows = {}
    for position, (name, parameter) in enumerate(space.items()):
        centres, _ = near.centres(position)
        if not centres:
            windows[name] = _whole(parameter, f"kept wide: {name} applies to none of the best trials")
        elif isinstance(parameter, CategoricalParameter):
            windows[name] = _choices(name, parameter, near, position)
        else:
            windows[name] = _range(name, parameter, near, position, previous[name])
    return windows


def _whole(parameter: AnyParameter, reason: str) -> WindowView:
    if isinstance(parameter, CategoricalParameter):
        count = len(parameter.choices)
        return WindowView(weights=[1 / count] * count, reason=reason)
    return WindowView(low=parameter.low, high=parameter.high, reason=reason)


def _range(name: str, parameter: Numeric, near: Neighbourhood, position: int, before: WindowView) -> WindowView:
    low = near.quantile(position, parameter, (1 - COVERED) / 2)
    high = near.quantile(position, parameter, (1 + COVERED) / 2)
    centres, weights = near.centres(position)
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
    if margin >= _PRESSING_SHARE:
        # One of two values is chosen half of the time by chance alone.
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


def _choices(name: str, parameter: CategoricalParameter, near: Neighbourhood, position: int) -> WindowView:
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
    return WindowView(weights=near.choice_shares(position, parameter), reason=reason)
