"""Rungs as a picture: a funnel over the rungs, and the values of those who came to each."""

from __future__ import annotations

import math
from dataclasses import dataclass

from caviar.contract.rungs import Bracket, Fate, Rung, RungEntry, Rungs
from service.web import formats
from service.web.pictures.axes import Tick, ValueAxis, value_axis
from service.web.tables.evidence import grounds

SIDE = 1000
FATE_WORDS = {
    Fate.PROMOTED: "promoted",
    Fate.WENT_ON: "went on at once",
    Fate.RUNNING: "in training",
    Fate.PAUSED: "waiting",
    Fate.PRUNED: "stopped",
    Fate.ENDED: "ended otherwise",
}
"""What became of a trial at a rung, for people."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a rung's bar.

    Attributes:
        fate: What became of its trials.
        count: How many there are.
        x: Left end.
        width: Its width.
    """

    fate: Fate
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Step:
    """A rung as it is drawn.

    Attributes:
        rung: The rung.
        parts: Its bar, as wide as its share of those who came to the first rung.
        quota: How many may go on by now.
        dots: Places of values by fate, for paths of round dots.
        threshold: Place of the threshold; None without one.
        rows: The best trials with their grounds in words.
    """

    rung: Rung
    parts: list[Part]
    quota: int
    dots: list[tuple[Fate, str]]
    threshold: float | None
    rows: list[tuple[RungEntry, str]]


@dataclass(frozen=True, slots=True)
class Ladder:
    """A bracket as it is drawn.

    Attributes:
        bracket: The bracket.
        steps: Its rungs, the lowest first.
        ticks: Round values along the axis of the dots, in percent; better values stand left.
    """

    bracket: Bracket
    steps: list[Step]
    ticks: list[Tick]


def ladders(view: Rungs) -> list[Ladder]:
    """The brackets as they are drawn."""
    return [_ladder(view, bracket) for bracket in view.brackets]


def _ladder(view: Rungs, bracket: Bracket) -> Ladder:
    values = [[value] for rung in bracket.rungs for some in rung.sample.values() for value in some]
    is_minimized = view.metric.direction == "minimize"
    axis = value_axis(values, is_minimized=is_minimized)
    widest = max((rung.num_reached for rung in bracket.rungs), default=0)
    steps = [_step(view, rung, axis, widest, is_minimized) for rung in bracket.rungs]
    ticks = [Tick(round(_place(axis, tick.position, is_minimized) / 10, 2), tick.label) for tick in axis.ticks()]
    return Ladder(bracket, steps, [tick for tick in ticks if 0 <= tick.position <= 100])


def _step(view: Rungs, rung: Rung, axis: ValueAxis, widest: int, is_minimized: bool) -> Step:
    parts, start = [], 0.0
    for fate in FATE_WORDS:
        if count := rung.fates.get(fate, 0):
            width = SIDE * count / max(widest, 1)
            parts.append(Part(fate, count, round(start, 2), round(width, 2)))
            start += width
    dots = []
    for fate in reversed(FATE_WORDS):
        places = [_place(axis, axis.position(value), is_minimized) for value in rung.sample.get(fate, ())]
        marks = (f"M{place:.0f} {_lift(at)}h0" for at, place in enumerate(places) if 0 <= place <= SIDE)
        dots.append((fate, "".join(marks)))
    threshold = None if rung.threshold is None else _place(axis, axis.position(rung.threshold), is_minimized)
    is_shown = threshold is not None and 0 <= threshold <= SIDE
    factor = view.reduction_factor or 1
    return Step(
        rung=rung,
        parts=parts,
        quota=rung.num_reached // factor,
        dots=dots,
        threshold=threshold if is_shown else None,
        rows=[(entry, grounds(entry.evidence, view.metric) or formats.ABSENT) for entry in rung.best],
    )


def _place(axis: ValueAxis, position: float, is_minimized: bool) -> float:
    # On the axis, greater values stand further up; here, better ones further left.
    return SIDE - position if is_minimized else position


def _lift(at: int) -> int:
    """Height of a dot: neighbours are set apart, the same at every drawing."""
    return round(150 + 700 * math.modf(at * 0.618034)[0])
