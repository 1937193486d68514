"""Lines of several studies in one picture, each with a stroke of its own and its name at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from caviar.contract.catalogue import ComparedStudy
from service.web import formats
from service.web.pictures.axes import HEIGHT, Tick, count_ticks, duration_ticks, value_axis
from service.web.pictures.sparkline import history_axis

_WIDTH = 1000
# What is left is room for the marks at the ends of the lines.
_USED_WIDTH = 990
# Two lines of text need so much of the height of a picture.
_LABEL_STEP = 6.4
_LABEL_CHARACTERS = 22

_Steps = tuple[str, float, float]
"""A line, and the place and the height of its end."""


@dataclass(frozen=True, slots=True)
class OverlaidLine:
    """The line of one study.

    Attributes:
        label: The study's name, short enough for the margin.
        path: The line in plot units.
        end: Its last point, as a mark is drawn there.
        rest: From its end to the margin.
        label_top: Where its name stands in the margin, in percent of the height.
        title: A sentence about it.
    """

    label: str
    path: str
    end: str
    rest: str
    label_top: float
    title: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture of 1000 by 1000 plot units.

    Attributes:
        label: What it shows, in a sentence.
        lines: In the order of the studies; None for one without any value.
        across: Ticks of the horizontal axis, in percent of the width.
        upright: Ticks of the vertical axis, in percent of the height from the top.
        has_names: Whether the names of the studies stand at the ends of the lines.
    """

    label: str
    lines: list[OverlaidLine | None]
    across: list[Tick]
    upright: list[Tick]
    has_names: bool


def histories(studies: Sequence[ComparedStudy], *, is_by_time: bool, now: datetime) -> Overlay:
    """The best value that each study has had, over its epochs or the time since it was created.

    Args:
        studies: With one metric.
        is_by_time: Whether the horizontal axis is time.
        now: The studies that have not ended go on until now.
    """
    metric = studies[0].metric
    values = [[gain.value for gain in study.history] for study in studies]
    axis = history_axis(values, is_minimized=metric.direction == "minimize")
    extents = [_moments(study, now) if is_by_time else _epochs(study) for study in studies]
    last = max((extent[-1] for extent, gains in zip(extents, values, strict=True) if gains), default=0.0) or 1.0
    drawn = [
        _steps([_USED_WIDTH * place / last for place in extent], [axis.position(value) for value in gains])
        for extent, gains in zip(extents, values, strict=True)
    ]
    titles = [f"{study.name}: best {metric.name} {formats.number(_last(study))}" for study in studies]
    words = "the time since it was created" if is_by_time else "its epochs"
    ticks = duration_ticks(last) if is_by_time else count_ticks(round(last))
    share = 100 * _USED_WIDTH / _WIDTH
    return Overlay(
        label=f"Best {metric.name} of each study over {words}",
        lines=_lines(studies, drawn, titles),
        across=[Tick(round(at / last * share, 2), label) for at, label in ticks],
        upright=[Tick(round(tick.position / HEIGHT * 100, 2), tick.label) for tick in axis.ticks()],
        has_names=True,
    )


def distributions(studies: Sequence[ComparedStudy]) -> Overlay:
    """The share of each study's trials that have at most a value: the empirical distribution function.

    Args:
        studies: With one metric.
    """
    metric = studies[0].metric
    axis = value_axis([study.distribution.values for study in studies], is_minimized=metric.direction == "minimize")
    drawn: list[_Steps | None] = []
    for study in studies:
        shares = [HEIGHT * (1 - share) for share in study.distribution.shares]
        places = [HEIGHT - axis.position(value) for value in study.distribution.values]
        drawn.append(_steps([*places, float(_WIDTH)], shares, start=float(HEIGHT)))
    return Overlay(
        label=f"Share of each study's trials by their {metric.name}, at most",
        lines=_lines(
            studies, drawn, [f"{one.name}: {formats.count(one.distribution.num_trials)} trials" for one in studies]
        ),
        across=[Tick(round(100 - tick.position / HEIGHT * 100, 2), tick.label) for tick in axis.ticks()],
        upright=[Tick(100.0 - share, f"{share}%") for share in (0, 25, 50, 75, 100)],
        has_names=False,
    )


def _moments(study: ComparedStudy, now: datetime) -> list[float]:
    moments = [*(gain.at for gain in study.history), study.ended_at or now]
    return [max(0.0, (at - study.created_at).total_seconds()) for at in moments]


def _epochs(study: ComparedStudy) -> list[float]:
    return [*(float(gain.num_epochs) for gain in study.history), float(study.num_epochs)]


def _last(study: ComparedStudy) -> float | None:
    return study.history[-1].value if study.history else None


def _steps(places: Sequence[float], heights: Sequence[float], *, start: float | None = None) -> _Steps | None:
    """A line that keeps each height until the next place; None without any height.

    Args:
        places: Of the heights, and the end.
        heights: One fewer.
        start: Height before the first place, if the line comes from there.
    """
    if not heights:
        return None
    begun = f"M{places[0]:.1f} {heights[0] if start is None else start:.1f}V{heights[0]:.1f}"
    pairs = zip(places[1:-1], heights[1:], strict=True)
    steps = "".join(f"H{place:.1f}V{height:.1f}" for place, height in pairs)
    return f"{begun}{steps}H{places[-1]:.1f}", places[-1], heights[-1]


def _lines(
    studies: Sequence[ComparedStudy], drawn: Sequence[_Steps | None], titles: Sequence[str]
) -> list[OverlaidLine | None]:
    tops = iter(_apart([one[2] / HEIGHT * 100 for one in drawn if one]))
    return [
        None
        if one is None
        else OverlaidLine(
            label=_shortened(study.name),
            path=one[0],
            end=f"M{one[1]:.1f} {one[2]:.1f}h0",
            rest=f"M{one[1]:.1f} {one[2]:.1f}H{_WIDTH}",
            label_top=next(tops),
            title=title,
        )
        for study, one, title in zip(studies, drawn, titles, strict=True)
    ]


def _apart(tops: Sequence[float]) -> list[float]:
    """The places in percent, moved as little as needed for labels not to lie on each other."""
    order = sorted(range(len(tops)), key=lambda i: tops[i])
    placed = dict[int, float]()
    lowest = 2.0
    for i in order:
        placed[i] = max(tops[i], lowest)
        lowest = placed[i] + _LABEL_STEP
    highest = 98.0
    for i in reversed(order):
        placed[i] = min(placed[i], highest)
        highest = placed[i] - _LABEL_STEP
    return [round(placed[i], 2) for i in range(len(tops))]


def _shortened(name: str) -> str:
    return name if len(name) <= _LABEL_CHARACTERS else f"{name[: _LABEL_CHARACTERS - 1]}…"
