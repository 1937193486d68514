"""What the zoom map shows: rounds, a sample of trials, how good each is, and which ends the best ones press against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from caviar.contract.points import Points
from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Space
from caviar.contract.views import RoundView, StudyView
from service.search.parameters import cell
from service.store import zooming
from service.store.transaction import Transaction
from service.use_cases import access, points, reading

GRADES = (0.1, 0.25, 0.5)
"""Shares of all trials that are told apart by how good they are: the best tenth, quarter and half."""

End = Literal["lower", "upper"]
"""One end of a range."""

_BEST_SHARE = 0.1
_MIN_BEST, _MAX_BEST = 5, 100
_MARGIN = 0.08
_PRESSING_SHARE = 0.5
# How far a suggestion goes beyond an end, as a share of the range in its scale's coordinate.
_WIDENED = 0.25
_DOTS_IN_ALL = 14_000
_MOST_TRIALS, _FEWEST_TRIALS = 1500, 100


@dataclass(frozen=True, slots=True)
class Pressure:
    """The best trials crowd at an end of the whole range.

    Attributes:
        end: Which end.
        bound: Its natural value.
        num_near: How many of the best trials lie within 8 % of the scale from it.
        num_best: How many of the best trials there are with this parameter.
        wider: A natural value that lies further out; None where the scale ends here.
    """

    end: End
    bound: float
    num_near: int
    num_best: int
    wider: float | None


@dataclass(frozen=True, slots=True)
class Zoom:
    """A study as the zoom map shows it.

    Attributes:
        study: Where it stands.
        points: A sample of its trials.
        rounds: All rounds, the oldest first; none for strategies without them.
        cuts: The worst values that still belong to the best tenth, quarter and half; empty without any value.
        pressures: Ends that the best trials press against, by parameter.
    """

    study: StudyView
    points: Points
    rounds: list[RoundView]
    cuts: list[float]
    pressures: Mapping[str, list[Pressure]]


def zoom(tx: Transaction, name: str) -> Zoom:
    """A study as the zoom map shows it.

    Raises:
        NotFound: There is no such study (404).
    """
    view = reading.study(tx, name)
    study_id = int(access.study(tx, name).id)
    is_minimized = view.metric.direction == "minimize"
    limit = min(_MOST_TRIALS, max(_FEWEST_TRIALS, _DOTS_IN_ALL // len(view.space)))
    total = zooming.num_valued(tx, study_id)
    ranks = [max(0, math.ceil(share * total) - 1) for share in GRADES] if total else []
    num_best = min(max(_MIN_BEST, math.ceil(_BEST_SHARE * total)), _MAX_BEST)
    best = zooming.best_params(tx, study_id, is_minimized=is_minimized, limit=num_best) if total >= _MIN_BEST else []
    return Zoom(
        study=view,
        points=points.points(tx, name, limit=limit),
        rounds=reading.rounds(tx, name).items,
        cuts=zooming.values_at(tx, study_id, ranks, is_minimized=is_minimized),
        pressures=pressures(view.space, best),
    )


def pressures(space: Space, best: Sequence[Mapping[str, Any]]) -> dict[str, list[Pressure]]:
    """The ends of ranges that the best trials press against.

    They do where at least half of them, and at least 5, lie within the outer 8 % of the whole range in the scale's
    coordinate, or on the outermost value where one value owns more. Choices have no ends.

    Args:
        space: The search space as it is now.
        best: Configurations of the best trials.
    """
    found = {}
    for name, parameter in space.items():
        if isinstance(parameter, CategoricalParameter):
            continue
        stored = (params[name] for params in best if name in params)
        units = [parameter.to_unit(value) for value in stored if parameter.refuse(value) is None]
        if ends := _pressed(parameter, units):
            found[name] = ends
    return found


def _pressed(parameter: FloatParameter | IntParameter, units: Sequence[float]) -> list[Pressure]:
    margin = max(_MARGIN, cell(parameter))
    # Of two values one is chosen half of the time by chance alone, and of a few trials nothing can be said.
    if margin >= _PRESSING_SHARE or len(units) < _MIN_BEST:
        return []
    ends: tuple[tuple[End, float, int], ...] = (
        ("lower", parameter.low, sum(unit <= margin for unit in units)),
        ("upper", parameter.high, sum(unit >= 1 - margin for unit in units)),
    )
    return [
        Pressure(end, bound, num_near, len(units), widened(parameter, end))
        for end, bound, num_near in ends
        if num_near >= max(_MIN_BEST, _PRESSING_SHARE * len(units))
    ]


def widened(parameter: FloatParameter | IntParameter, end: End) -> float | None:
    """A round natural value a quarter of the range beyond an end; None where the scale ends, or at zero."""
    value = _further(parameter, end)
    half = (parameter.step or 0) / 2
    is_in_domain = all(parameter.axis.scale.contains(edge) for edge in (value - half, value + half))
    is_wider = value > parameter.high if end == "upper" else value < parameter.low
    # What counts or measures something rarely means anything below zero.
    crosses_zero = value <= 0 <= parameter.low
    return value if is_in_domain and is_wider and not crosses_zero else None


def _further(parameter: FloatParameter | IntParameter, end: End) -> float:
    scale = parameter.axis.scale
    low, high = scale.forward(parameter.axis.edges[0]), scale.forward(parameter.axis.edges[1])
    reach = (high - low) * _WIDENED
    beyond = scale.backward(high + reach if end == "upper" else low - reach)
    if parameter.step is None:
        return _rounded(beyond, parameter.scale)
    ends = (parameter.low, parameter.high)
    if parameter.scale == "log" and all(math.log2(bound).is_integer() for bound in ends):
        return 2.0 ** round(math.log2(beyond))
    steps = max(1, math.floor(abs(beyond - (parameter.high if end == "upper" else parameter.low)) / parameter.step))
    value = parameter.high + steps * parameter.step if end == "upper" else parameter.low - steps * parameter.step
    return float(f"{value:.12g}")


def _rounded(value: float, scale: str) -> float:
    """The value with its first digit, or on scales that resolve the way to 1, with that of its distance."""
    if value == 0:
        return value
    distance = 1 - value if scale in ("reverse_log", "logit") and 0.5 < value < 1 else abs(value)
    return round(value, -math.floor(math.log10(distance)))
