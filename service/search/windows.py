"""Windows of a round: what it draws each parameter from, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Space
from caviar.contract.views import WindowView
from service.search.neighbourhood import UNIFORM_SHARE, Neighbourhood
from service.search.parameters import AnyParameter, cell, choice_at, is_unordered

# A window covers this central share of the elite, by weight, and so many standard deviations of a step to both sides.
_COVERED = 0.8
_REACH = 2.0
# An elite presses against an end of the range if this share of it lies within the margin of that end.
_PRESSING_SHARE = 0.5
_MARGIN = 0.08
# Of windows wider than this nothing was narrowed.
_WIDE = 0.9
# Ends of windows that moved by less than this have stayed.
_SAME = 0.02


def whole_space(space: Space) -> dict[str, WindowView]:
    """Windows of a round that covers everything evenly."""
    return {name: _whole(parameter, "covers the whole range evenly") for name, parameter in space.items()}


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
            windows[name] = _range(name, parameter, near, position, previous.get(name))
    return windows


def _whole(parameter: AnyParameter, reason: str) -> WindowView:
    if isinstance(parameter, CategoricalParameter):
        count = len(parameter.choices)
        return WindowView(weights=[1 / count] * count, reason=reason)
    return WindowView(low=parameter.low, high=parameter.high, reason=reason)


def _range(
    name: str, parameter: FloatParameter | IntParameter, near: Neighbourhood, position: int, before: WindowView | None
) -> WindowView:
    centres, weights = near.centres(position)
    reach = _REACH * near.step(position, parameter)
    low = max(weighted_quantile(centres, weights, (1 - _COVERED) / 2) - reach, 0.0)
    high = min(weighted_quantile(centres, weights, (1 + _COVERED) / 2) + reach, 1.0)
    return WindowView(
        low=parameter.from_unit(low),
        high=parameter.from_unit(high),
        unit_low=low,
        unit_high=high,
        reason="; ".join([_change(parameter, low, high, before), *_pressure(name, parameter, centres, weights)]),
    )


def _change(parameter: FloatParameter | IntParameter, low: float, high: float, before: WindowView | None) -> str:
    shown = f"{parameter.from_unit(low):.3g} to {parameter.from_unit(high):.3g}, {high - low:.0%} of the range"
    if high - low > _WIDE:
        return f"kept wide: the best trials are spread over {shown}"
    if before is not None and (high - low) > (before.unit_high - before.unit_low) + _SAME:
        return f"widened again: the best trials now lie in {shown}"
    if before is not None and abs(low - before.unit_low) < _SAME and abs(high - before.unit_high) < _SAME:
        return f"stayed: the best trials still lie in {shown}"
    return f"narrowed: the best trials lie in {shown}"


def _pressure(
    name: str, parameter: FloatParameter | IntParameter, centres: Sequence[float], weights: Sequence[float]
) -> list[str]:
    margin = max(_MARGIN, cell(parameter))
    if margin > 1 - _PRESSING_SHARE:
        return []
    pairs = list(zip(centres, weights, strict=True))
    found = []
    for end, word, bound, share in (
        ("lower", "lower", parameter.low, sum(weight for centre, weight in pairs if centre <= margin)),
        ("upper", "higher", parameter.high, sum(weight for centre, weight in pairs if centre >= 1 - margin)),
    ):
        if share >= _PRESSING_SHARE:
            found.append(
                f"the best trials press against the {end} end of {name} ({bound:g}): "
                f"consider a {word} limit if it makes sense"
            )
    return found


def _choices(name: str, parameter: CategoricalParameter, near: Neighbourhood, position: int) -> WindowView:
    centres, weights = near.centres(position)
    count = len(parameter.choices)
    shares = [0.0] * count
    for centre, weight in zip(centres, weights, strict=True):
        shares[choice_at(parameter, centre)] += weight
    leader = max(range(count), key=shares.__getitem__)
    if is_unordered(parameter):
        drawn = [(1 - UNIFORM_SHARE) * share + UNIFORM_SHARE / count for share in shares]
    else:
        drawn = near.cell_masses(position, parameter)
    if count > 1 and shares[leader] < 1.5 / count:
        reason = f"kept even: no choice of {name} stands out among the best trials"
    else:
        num = sum(choice_at(parameter, centre) == leader for centre in centres)
        reason = f"leaning to {parameter.choices[leader]!r}: {num} of the {len(centres)} best trials have it"
    return WindowView(weights=drawn, reason=reason)


def weighted_quantile(values: Sequence[float], weights: Sequence[float], share: float) -> float:
    """The least value at or below which lies at least this share of the weight."""
    total = 0.0
    ordered = sorted(zip(values, weights, strict=True))
    for value, weight in ordered:
        total += weight
        if total >= share:
            return value
    return ordered[-1][0]
