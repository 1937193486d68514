"""The timeline as a picture: lanes of bars over wall time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from caviar.contract.timeline import Bar, BarKind, Timeline, WorkerTime
from service.web import formats
from service.web.pictures.axes import Tick

SIDE = 1000
KIND_WORDS = {
    BarKind.COMPLETE: "trained to its end",
    BarKind.PAUSED: "paused at a rung",
    BarKind.PRUNED: "stopped early",
    BarKind.RUNNING: "runs",
    BarKind.FAILED: "failed",
    BarKind.LOST: "lost: its worker fell silent",
    BarKind.RELEASED: "given back",
    BarKind.CANCELLED: "cancelled",
}
"""How an attempt ended, for people."""

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MAX_TICKS = 8
_LEAST_WIDTH = 0.8
_GAP = 0.5
_MAX_ROWS = 200


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar in the picture.

    Attributes:
        bar: What it stands for.
        x: Its left end.
        width: Its width.
        words: A sentence about it.
    """

    bar: Bar
    x: float
    width: float
    words: str


@dataclass(frozen=True, slots=True)
class Track:
    """A row of the picture.

    Attributes:
        label: Its slot, in words.
        bars: What ran there.
        area: Where there are too many bars: the outline of the load, for a path.
    """

    label: str
    bars: list[Drawn]
    area: str


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one worker."""

    worker: WorkerTime
    tracks: list[Track]


@dataclass(frozen=True, slots=True)
class Gantt:
    """The whole picture.

    Attributes:
        groups: The workers.
        ticks: Round times, in percent.
        marks: Where rounds were opened.
        kinds: Ways in which attempts ended that occur, in words.
        rows: The newest attempts of the window, for a table: worker, slot and bar.
    """

    groups: list[Group]
    ticks: list[Tick]
    marks: list[tuple[float, int]]
    kinds: dict[str, str]
    rows: list[tuple[str, str, Drawn]]


def gantt(view: Timeline, now: datetime) -> Gantt:
    """The picture of a window of time."""
    groups = [Group(worker, _tracks(view, worker, now)) for worker in view.workers]
    rows = [(group.worker.worker, track.label, one) for group in groups for track in group.tracks for one in track.bars]
    rows.sort(key=lambda row: row[2].bar.started_at, reverse=True)
    present = {row[2].bar.kind for row in rows}
    marks = [(_x(view, mark.opened_at), mark.number) for mark in view.rounds]
    kinds = {kind.value: words for kind, words in KIND_WORDS.items() if kind in present}
    return Gantt(groups, _ticks(view), marks, kinds, rows[:_MAX_ROWS])


def _tracks(view: Timeline, worker: WorkerTime, now: datetime) -> list[Track]:
    if worker.load:
        top = max(float(worker.slots or 0), *worker.load)
        width = SIDE / len(worker.load)
        steps = "".join(f"V{SIDE * (1 - load / top):.0f}h{width:.2f}" for load in worker.load)
        return [Track("load", [], f"M0 {SIDE}{steps}V{SIDE}z")]
    tracks, named = [], set[int | None]({None})
    for lane in worker.lanes:
        # Where a worker took the next trial before the last one had ended, a slot needs a second row.
        label = "" if lane.slot in named else f"slot {lane.slot}"
        named.add(lane.slot)
        tracks.append(Track(label, [_drawn(view, bar, now) for bar in lane.bars], ""))
    return tracks


def _drawn(view: Timeline, bar: Bar, now: datetime) -> Drawn:
    left, right = _x(view, bar.started_at), _x(view, bar.ended_at or now)
    # A hair between two that follow each other at once.
    width = max(right - left - _GAP, _LEAST_WIDTH)
    taken = formats.seconds(((bar.ended_at or now) - bar.started_at).total_seconds())
    if bar.num_merged > 1:
        words = f"{bar.num_merged} short attempts from trial {bar.number} on, {taken}, each {KIND_WORDS[bar.kind]}"
    else:
        words = (
            f"Trial {bar.number}, attempt {bar.attempt}, from epoch {bar.first_epoch}, {taken}, {KIND_WORDS[bar.kind]}"
        )
    return Drawn(bar, round(left, 2), round(width, 2), words)


def _x(view: Timeline, at: datetime) -> float:
    share = (at - view.from_at) / (view.to_at - view.from_at)
    return min(max(share, 0.0), 1.0) * SIDE


def _ticks(view: Timeline) -> list[Tick]:
    total_s = (view.to_at - view.from_at).total_seconds()
    days = -(-total_s // (_MAX_TICKS * 86400))
    step_s: float = next((step for step in _STEPS_S if total_s / step <= _MAX_TICKS), days * 86400)
    first = datetime.fromtimestamp(-(-view.from_at.timestamp() // step_s) * step_s, UTC)
    times = [first + timedelta(seconds=step_s * at) for at in range(_MAX_TICKS + 1)]
    pattern = "%H:%M:%S" if step_s < 60 else "%H:%M" if step_s < 86400 else "%d %b"
    return [Tick(round(_x(view, at) / SIDE * 100, 2), f"{at:{pattern}}") for at in times if at <= view.to_at]
