"""The zoom map as a picture: of each parameter a panel in its scale's coordinate, time flowing down."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Parameter, Space
from caviar.contract.states import TrialState
from caviar.contract.views import RoundView, WindowView
from service.search.carrying import carried_windows
from service.search.windows import whole_space
from service.use_cases.zooming import Pressure, Zoom
from service.web import formats
from service.web.pictures.axes import Tick
from service.web.pictures.ticks import scale_ticks

SIDE = 1000
"""Width and height of a panel in its own units; the page stretches it."""

GRADE_WORDS = ("best tenth", "best quarter", "best half", "the rest")
"""What the grades of trials are called, the best first."""

_MAX_BANDS = 50
_MIN_LABEL_GAP = 42
_NEWEST_HEIGHT = 0.03
_LABELLED_CHOICES = 7
_JITTER = 0.56
_UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a band: a window, or a choice with its weight.

    Attributes:
        x: Left end.
        width: Its width.
    """

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Band:
    """What some neighbouring rounds draw one parameter from.

    Attributes:
        words: Which rounds these are.
        y: Upper end.
        height: Its height.
        pieces: The window, or one piece for each choice.
        is_manual: Whether a person has set the newest of them.
        text: The range or the weights, in natural values.
        reason: Why.
    """

    words: str
    y: float
    height: float
    pieces: list[Piece]
    is_manual: bool
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One parameter.

    Attributes:
        name: The parameter.
        parameter: As the space has it now.
        scale: Its scale, in words.
        low: Lower end, short; empty for choices.
        high: Upper end, short; empty for choices.
        when: When it applies, in words; empty if always.
        ticks: Places of round values or of choices, in percent.
        lines: Positions of the vertical lines of the grid.
        bands: What was drawn from, the oldest first.
        dots: By grade, the worst first: places of the trials, for a path of round dots.
        elite: Places of the trials that the newest round is made of.
        running: Places of the trials in training.
        best: Place of the best trial.
        pressures: Ends that the best trials press against.
    """

    name: str
    parameter: Parameter
    scale: str
    low: str
    high: str
    when: str
    ticks: list[Tick]
    lines: list[float]
    bands: list[Band]
    dots: list[tuple[int, str]]
    elite: str
    running: str
    best: str
    pressures: list[Pressure]


@dataclass(frozen=True, slots=True)
class ZoomMap:
    """The whole picture.

    Attributes:
        panels: One for each parameter, in the order of the space.
        labels: Rounds or trial numbers along the vertical axis, in percent.
        edges: Positions at which rounds begin.
        last: Trial number at the lower end.
        per_band: How many rounds share a band.
        has_rounds: Whether the strategy works in rounds.
    """

    panels: list[Panel]
    labels: list[Tick]
    edges: list[float]
    last: float
    per_band: int
    has_rounds: bool


def zoom_map(found: Zoom) -> ZoomMap:
    """The picture of a study."""
    rounds, space = found.rounds, found.study.space
    newest = rounds[-1].first_trial if rounds else 0
    last = max(float(found.study.num_trials), newest / (1 - _NEWEST_HEIGHT), 1.0)
    per_band = max(1, -(-len(rounds) // _MAX_BANDS))
    groups = _groups(rounds, per_band)
    bands = _bands(space, groups, last) if rounds else {name: [] for name in space.names}
    grades = [_grade(value, found) for value in found.points.values]
    ys = [(number + 0.5) / last * SIDE for number in found.points.numbers]
    panels = [_panel(name, found, bands[name], grades, ys) for name in space.names]
    edges = [round(group[0].first_trial / last * SIDE, 1) for group in groups[1:]]
    return ZoomMap(panels, _labels(groups, last, found), edges, last, per_band, bool(rounds))


def newest_windows(space: Space, rounds: Sequence[RoundView]) -> dict[str, WindowView]:
    """What the newest round draws from in the space as it is now; all of it before the first round."""
    return carried_windows(space, rounds[-1].windows) if rounds else whole_space(space)


def _groups(rounds: Sequence[RoundView], size: int) -> list[Sequence[RoundView]]:
    # Counted from the end, so that the newest group is full.
    if not rounds:
        return []
    first = len(rounds) % size
    starts = [0] if first else []
    starts += range(first, len(rounds), size)
    return [rounds[start:end] for start, end in zip(starts, [*starts[1:], len(rounds)], strict=True)]


def _bands(space: Space, groups: Sequence[Sequence[RoundView]], last: float) -> dict[str, list[Band]]:
    starts = [group[0].first_trial / last * SIDE for group in groups]
    found: dict[str, list[Band]] = {name: [] for name in space.names}
    for group, top, bottom in zip(groups, starts, [*starts[1:], float(SIDE)], strict=True):
        carried = [carried_windows(space, entry.windows) for entry in group]
        words = f"round {group[0].number}" if len(group) == 1 else f"rounds {group[0].number}–{group[-1].number}"
        for name, parameter in space.items():
            windows = [one[name] for one in carried]
            found[name].append(
                Band(
                    words=words,
                    y=round(top, 1),
                    height=round(bottom - top, 1),
                    pieces=_pieces(parameter, windows),
                    is_manual=group[-1].origin == "manual",
                    text=window_text(parameter, windows[-1]),
                    reason=windows[-1].reason,
                )
            )
    return found


def _pieces(parameter: Parameter, windows: Sequence[WindowView]) -> list[Piece]:
    """The window; of several ones, their mean."""
    if not isinstance(parameter, CategoricalParameter):
        low = sum(window.unit_low for window in windows) / len(windows)
        high = sum(window.unit_high for window in windows) / len(windows)
        return [Piece(round(low * SIDE, 1), round((high - low) * SIDE, 1))]
    count = len(parameter.choices)
    weights = [sum(_weights(parameter, window)[at] for window in windows) / len(windows) for at in range(count)]
    column = SIDE / count
    return [
        Piece(round((at + (1 - weight) / 2) * column, 1), round(weight * column, 1))
        for at, weight in enumerate(weights)
    ]


def _weights(parameter: CategoricalParameter, window: WindowView) -> list[float]:
    return window.weights or [1 / len(parameter.choices)] * len(parameter.choices)


def window_text(parameter: Parameter, window: WindowView) -> str:
    """A window in natural values."""
    if isinstance(parameter, CategoricalParameter):
        pairs = sorted(zip(_weights(parameter, window), parameter.choices, strict=True), key=lambda pair: -pair[0])
        shown = ", ".join(f"{formats.parameter(choice)} {weight:.0%}" for weight, choice in pairs[:_LABELLED_CHOICES])
        return shown if len(pairs) <= _LABELLED_CHOICES else f"{shown} and {len(pairs) - _LABELLED_CHOICES} more"
    return " … ".join(end_text(parameter, end) for end in (window.low, window.high))


def end_text(parameter: FloatParameter | IntParameter, value: float | None) -> str:
    """An end of a window, short."""
    if value is None:
        return formats.ABSENT
    is_whole = parameter.type == "int" and float(value).is_integer()
    return formats.parameter(int(value) if is_whole else float(value), parameter.scale)


def _grade(value: float | None, found: Zoom) -> int | None:
    """0 for the best tenth, up to 3; None without a value."""
    if value is None or not found.cuts:
        return None
    if found.study.metric.direction == "minimize":
        return bisect.bisect_left(found.cuts, value)
    return bisect.bisect_left([-cut for cut in found.cuts], -value)


def _panel(name: str, found: Zoom, bands: list[Band], grades: Sequence[int | None], ys: Sequence[float]) -> Panel:
    points, parameter = found.points, found.study.space[name]
    xs = [_x(parameter, unit, number) for unit, number in zip(points.units[name], points.numbers, strict=True)]
    elite = set(found.rounds[-1].elite) if found.rounds else set[int]()
    best = found.study.best.number if found.study.best else -1
    dots: dict[int, list[str]] = {grade: [] for grade in (3, 2, 1, 0)}
    rings, running, leader = [], [], ""
    for x, y, number, state, grade in zip(xs, ys, points.numbers, points.states, grades, strict=True):
        if x is None:
            continue
        place = f"M{x:.0f} {y:.0f}h0"
        if state in _UNFINISHED:
            running.append(place)
        if number == best:
            leader = place
        elif grade is not None:
            dots[grade].append(place)
        if number in elite:
            rings.append(place)
    ticks, lines = _axis(parameter)
    scale, low, high = _range_words(parameter)
    return Panel(
        name=name,
        parameter=parameter,
        scale=scale,
        low=low,
        high=high,
        when=_condition(parameter),
        ticks=ticks,
        lines=lines,
        bands=bands,
        dots=[(grade, "".join(places)) for grade, places in dots.items()],
        elite="".join(rings),
        running="".join(running),
        best=leader,
        pressures=list(found.pressures.get(name, ())),
    )


def _x(parameter: Parameter, unit: float | None, number: int) -> float | None:
    if unit is None:
        return None
    if not isinstance(parameter, CategoricalParameter):
        return unit * SIDE
    # Neighbours within a column are set apart, without a pattern even if only every so manyth trial is drawn.
    apart = (number * number * 0.618034) % 1 - 0.5
    return (unit + apart * _JITTER / len(parameter.choices)) * SIDE


def _axis(parameter: Parameter) -> tuple[list[Tick], list[float]]:
    if not isinstance(parameter, CategoricalParameter):
        ticks = scale_ticks(parameter)
        return ticks, [tick.position * SIDE / 100 for tick in ticks]
    count = len(parameter.choices)
    stride = -(-count // _LABELLED_CHOICES)
    names = [formats.parameter(choice) for choice in parameter.choices]
    ticks = [Tick(round((at + 0.5) / count * 100, 2), names[at]) for at in range(0, count, stride)]
    return ticks, [round(at / count * SIDE, 1) for at in range(1, count)]


def _range_words(parameter: Parameter) -> tuple[str, str, str]:
    """Scale and both ends, short; for choices no ends."""
    if isinstance(parameter, CategoricalParameter):
        return "choice", "", ""
    scale = "1−x log" if parameter.scale == "reverse_log" else parameter.scale
    return scale, end_text(parameter, parameter.low), end_text(parameter, parameter.high)


def _condition(parameter: Parameter) -> str:
    parts = [
        f"{parent} is {' or '.join(formats.parameter(value) for value in values)}"
        for parent, values in (parameter.when or {}).items()
    ]
    return " and ".join(parts)


def _labels(groups: Sequence[Sequence[RoundView]], last: float, found: Zoom) -> list[Tick]:
    if not groups:
        step = max(1, round(last / 5, -len(str(int(last / 5))) + 1)) if last >= 5 else 1
        numbers = range(0, int(last), int(step))
        return [Tick(round(number / last * 100, 2), f"#{formats.count(number)}") for number in numbers]
    labels: list[Tick] = []
    for group in groups:
        place = group[0].first_trial / last * SIDE
        if not labels or place - labels[-1].position * 10 >= _MIN_LABEL_GAP:
            labels.append(Tick(round(place / 10, 2), str(group[0].number)))
    return labels


def table_rows(space: Space, windows: Mapping[str, WindowView]) -> list[tuple[str, str, float, float, str]]:
    """Name, text, start and width in percent (0 for choices) and reason of each window, in the order of the space."""
    found = []
    for name, parameter in space.items():
        window = windows[name]
        is_choice = isinstance(parameter, CategoricalParameter)
        start, width = (0.0, 0.0) if is_choice else (window.unit_low, window.unit_high - window.unit_low)
        text = window_text(parameter, window)
        found.append((name, text, round(100 * start, 1), round(100 * width, 1), window.reason))
    return found
