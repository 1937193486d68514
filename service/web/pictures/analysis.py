"""What the analysis page draws: axes for parallel coordinates and pairs, and slices as SVG paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from caviar.contract.points import Contour, Points
from caviar.contract.space import CategoricalParameter, Parameter, Space
from caviar.contract.states import TrialState
from service.domain.board_query import Condition, OneOf, Range, short_name
from service.domain.board_texts import choice_text
from service.web import formats
from service.web.pictures.axes import Tick, ValueAxis, value_axis
from service.web.pictures.brushes import PARAMS, VALUE
from service.web.pictures.ticks import scale_ticks

SIDE = 1000
_SCALE_WORDS = {"linear": "linear", "log": "log", "reverse_log": "1−x log", "logit": "logit"}
_LABELLED_CHOICES = 8
_BEST_SHARE = 0.1
_JITTER = 0.5
_SHADES = 6
_RINGS_PER_BATCH = 40
_MAX_CELLS = 12


@dataclass(frozen=True, slots=True)
class AxisView:
    """An axis, from 0 to 1 in the coordinate of its scale.

    Attributes:
        name: Its column, as addresses have it.
        label: The parameter, or the metric.
        kind: `number`, `choice` or `value`.
        scale: Name of the scale.
        scale_words: The scale for people.
        ends: Least and greatest natural value; 0 and 1 for choices.
        step: Distance of the values of a grid; 0 without one.
        ticks: Round natural values with their places in percent.
        choices: Choices for people, and as addresses have them.
        num_cells: How many values there are, if they are few; 0 for many.
        low: What is marked begins here, 0 to 1.
        high: What is marked ends here, 0 to 1.
        marked: Natural values of these ends; None where nothing is marked.
        positions: Positions of the marked choices; empty for all.
    """

    name: str
    label: str
    kind: str
    scale: str
    scale_words: str
    ends: tuple[float, float]
    step: float
    ticks: list[Tick]
    choices: list[tuple[str, str]]
    num_cells: int = 0
    low: float = 0.0
    high: float = 1.0
    marked: tuple[float | None, float | None] = (None, None)
    positions: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Slice:
    """The metric against one parameter.

    Attributes:
        axis: The parameter's axis.
        best: Place of the leading trial, for a path of round dots.
        good: Places of the best tenth.
        others: Places of the others that were trained to an end.
        pruned: Places of those that were pruned, in batches: rings of one batch that touch run into each other.
        num_shown: How many trials it shows.
    """

    axis: AxisView
    best: str
    good: str
    others: str
    pruned: list[str]
    num_shown: int


def axes(found: Points, space: Space, conditions: Mapping[str, Condition]) -> list[AxisView]:
    """The axes of a study: one for each parameter, then the metric."""
    views = [_axis(name, parameter, conditions.get(PARAMS + name)) for name, parameter in space.items()]
    return [*views, _value_axis(found, conditions.get(VALUE))]


def parameter_axes(space: Space) -> list[AxisView]:
    """The axes of all parameters, unmarked."""
    return [_axis(name, parameter, None) for name, parameter in space.items()]


def heat_map(contour: Contour) -> dict[str, str]:
    """A landscape as squares, by the shade of the ramp that they are filled with: `q0` for the best."""
    known = sorted(value for line in contour.grid for value in line if value is not None)
    low, width = known[0], known[-1] - known[0] or 1.0
    edges_x, edges_y = _edges(contour.x.units), _edges(contour.y.units)
    squares: dict[str, list[str]] = {f"q{shade}": [] for shade in range(_SHADES)}
    for row, line in enumerate(contour.grid):
        for column, value in enumerate(line):
            if value is not None:
                share = (value - low) / width
                share = share if contour.metric.direction == "minimize" else 1 - share
                left, right = edges_x[column], edges_x[column + 1]
                top, bottom = SIDE - edges_y[row + 1], SIDE - edges_y[row]
                squares[f"q{round(share * (_SHADES - 1))}"].append(f"M{left} {top}H{right}V{bottom}H{left}z")
    return {kind: "".join(paths) for kind, paths in squares.items() if paths}


def _edges(units: list[float]) -> list[int]:
    """Where the squares around these places end, in plot units."""
    return [0, *(round((left + right) / 2 * SIDE) for left, right in pairwise(units)), SIDE]


def metric_axis(found: Points) -> ValueAxis:
    """The axis of the metric that shows all but outlying trials."""
    values = [[value] for value in found.values if value is not None]
    return value_axis(values, is_minimized=found.metric.direction == "minimize")


def slices(found: Points, space: Space, best: int | None) -> list[Slice]:
    """The metric against each parameter.

    Args:
        found: A sample of trials.
        space: Their parameters.
        best: Id of the leading trial.
    """
    heights, kinds = _heights(found), _kinds(found, best)
    return [_slice(found, name, parameter, heights, kinds) for name, parameter in space.items()]


def _heights(found: Points) -> list[float | None]:
    axis = metric_axis(found)
    return [None if value is None else min(max(axis.position(value), 0.0), SIDE) for value in found.values]


def _slice(found: Points, name: str, parameter: Parameter, heights: list[float | None], kinds: list[str]) -> Slice:
    dots: dict[str, list[str]] = {"best": [], "good": [], "others": [], "pruned": []}
    axis = _axis(name, parameter, None)
    # Trials of the same value are set apart, each by as much in every picture.
    width = _JITTER / axis.num_cells if axis.num_cells else 0.0
    for at, (unit, height) in enumerate(zip(found.units[name], heights, strict=True)):
        if unit is not None and height is not None:
            place = unit + ((found.numbers[at] * 0.618034) % 1 - 0.5) * width
            dots[kinds[at]].append(f"M{place * SIDE:.0f} {height:.0f}h0")
    rings = dots.pop("pruned")
    num_batches = -(-len(rings) // _RINGS_PER_BATCH)
    batches = ["".join(rings[first::num_batches]) for first in range(num_batches)]
    paths = {kind: "".join(places) for kind, places in dots.items()}
    return Slice(axis, pruned=batches, num_shown=len(rings) + sum(map(len, dots.values())), **paths)


def _kinds(found: Points, best: int | None) -> list[str]:
    """How each trial is drawn."""
    values = [value for value in found.values if value is not None]
    ranked = sorted(values, reverse=found.metric.direction == "maximize")
    limit = ranked[int(len(ranked) * _BEST_SHARE)] if ranked else 0.0
    kinds = []
    for trial_id, state, value in zip(found.trial_ids, found.states, found.values, strict=True):
        is_good = value is not None and found.metric.better(value, limit)
        kind = "pruned" if state == TrialState.PRUNED else "good" if is_good else "others"
        kinds.append("best" if trial_id == best else kind)
    return kinds


def _axis(name: str, parameter: Parameter, mark: Condition | None) -> AxisView:
    if isinstance(parameter, CategoricalParameter):
        count = len(parameter.choices)
        stride = -(-count // _LABELLED_CHOICES)
        ticks = [
            Tick(round(100 * (at + 0.5) / count, 2), formats.parameter(parameter.choices[at]))
            for at in range(0, count, stride)
        ]
        return AxisView(
            name=short_name(PARAMS + name),
            label=name,
            kind="choice",
            scale="choice",
            scale_words="choice",
            ends=(0.0, 1.0),
            step=0.0,
            ticks=ticks,
            choices=[
                (formats.parameter(choice), choice_text(choice).replace("|", "\\|")) for choice in parameter.choices
            ],
            num_cells=count,
            positions=_positions(parameter, mark),
        )
    low, high = (mark.low, mark.high) if isinstance(mark, Range) else (None, None)
    num_values = parameter.num_values or _MAX_CELLS + 1
    return AxisView(
        name=short_name(PARAMS + name),
        label=name,
        kind="number",
        scale=parameter.scale,
        scale_words=_SCALE_WORDS[parameter.scale],
        ends=(parameter.low, parameter.high),
        step=float(parameter.step or 0),
        ticks=scale_ticks(parameter),
        choices=[],
        num_cells=num_values if num_values <= _MAX_CELLS else 0,
        low=0.0 if low is None or low <= parameter.low else parameter.to_unit(min(low, parameter.high)),
        high=1.0 if high is None or high >= parameter.high else parameter.to_unit(max(high, parameter.low)),
        marked=(low, high),
    )


def _value_axis(found: Points, mark: Condition | None) -> AxisView:
    axis = metric_axis(found)
    scale = "log" if axis.is_log else "linear"
    ends = (10**axis.low, 10**axis.high) if axis.is_log else (axis.low, axis.high)
    low, high = (mark.low, mark.high) if isinstance(mark, Range) else (None, None)
    return AxisView(
        name=VALUE,
        label=found.metric.name,
        kind="value",
        scale=scale,
        scale_words=scale,
        ends=ends,
        step=0.0,
        ticks=[Tick(round(100 - tick.position / 10, 2), tick.label) for tick in axis.ticks()],
        choices=[],
        low=0.0 if low is None else _place(axis, low),
        high=1.0 if high is None else _place(axis, high),
        marked=(low, high),
    )


def _place(axis: ValueAxis, value: float) -> float:
    return min(max(1 - axis.position(value) / SIDE, 0.0), 1.0)


def _positions(parameter: CategoricalParameter, mark: Condition | None) -> frozenset[int]:
    if not isinstance(mark, OneOf):
        return frozenset()
    return frozenset(parameter.position(choice) for choice in mark.choices)
