"""Charts as SVG pictures that are complete without script: what is in them, and the learning curves of a study.

Lines are drawn in coordinates of their own: epochs to the right, the value or its decimal logarithm upwards. What part
of that plane is seen is the frame's matter, so a new frame leaves the lines as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from caviar.contract.states import TrialState
from caviar.contract.study import Metric
from caviar.contract.views import Curve
from service.web import formats
from service.web.pictures.axes import Scale, Tick, ValueAxis, epoch_ticks, last_epoch, value_axis

# Marks at the ends of lines would be cut in halves at the edges of the plot.
_SIDE_MARGIN = 0.015
MARKS = {
    "running": "M0-3.5a3.5 3.5 0 1 0 .01 0z",
    "paused": "M-2.5-3.5V3.5M2.5-3.5V3.5",
    "pruned": "M-3-3L3 3M-3 3L3-3",
    "failed": "M-3.5-3.5H3.5V3.5H-3.5z",
    "cancelled": "M0-4L4 0L0 4L-4 0z",
    "lead": "M0-3.8a3.8 3.8 0 1 0 .01 0z",
    "best": "M0-4.5a4.5 4.5 0 1 0 .01 0z",
}
"""Shapes at the ends of lines by state, around the origin in pixels; trials that are complete have none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve.

    Attributes:
        key: Identifier within the page.
        state: State of its trial; for lines that are no trials, how they are drawn.
        points: Pairs of epoch and coordinate for `polyline`.
        title: A sentence about it.
        number: Number of the trial.
        trial_id: The trial; 0 if the line leads nowhere.
        name: What it is called when pointed at, where it is no trial.
        is_best: Whether it is to stand out.
        is_chosen: Whether the reader asked for it.
    """

    key: str
    state: str
    points: str
    title: str
    number: int = 0
    trial_id: int = 0
    name: str = ""
    is_best: bool = False
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A shape that keeps its size however the plot is stretched.

    Attributes:
        of: Id of the trial that it belongs to, or the key of another line.
        kind: One of `MARKS`.
        x: Percent of the width.
        y: Percent of the height, from the top.
    """

    of: str
    kind: str
    x: float
    y: float

    @property
    def shape(self) -> str:
        """Its path."""
        return MARKS[self.kind]


@dataclass(frozen=True, slots=True)
class Note:
    """Something behind the lines: a place, a range or a level, with a word on it.

    Attributes:
        kind: How it is drawn.
        text: What stands beside it.
        x: Left end in percent of the width; None for a level.
        width: Width in percent; 0 for a vertical line.
        y: A level, in percent of the height from the top; None for none.
    """

    kind: str
    text: str
    x: float | None = None
    width: float = 0.0
    y: float | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A word beside the end of a line.

    Attributes:
        kind: That of the line.
        text: The word.
        x: Percent of the width.
        y: Percent of the height, from the top.
    """

    kind: str
    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Dot:
    """A point that leads to a trial.

    Attributes:
        kind: How it is drawn.
        title: A sentence about it.
        trial_id: The trial.
        x: Percent of the width.
        y: Percent of the height, from the top.
    """

    kind: str
    title: str
    trial_id: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Frame:
    """What part of the plane of the lines is seen, with ticks on both sides.

    Attributes:
        axis: The vertical axis.
        left: Horizontal coordinate of the left edge.
        right: Horizontal coordinate of the right edge.
        across: Ticks of the horizontal axis, in percent of the width.
        up: Ticks of the vertical axis, in percent of the height from the top.
    """

    axis: ValueAxis
    left: float
    right: float
    across: list[Tick]
    up: list[Tick]

    @property
    def view_box(self) -> str:
        """The `viewBox` of the lines, which are turned upside down."""
        high, low = self.axis.high, self.axis.low
        return f"{self.left:.10g} {-high:.12g} {self.right - self.left:.10g} {high - low:.12g}"

    def x(self, at: float) -> float:
        """Place of a horizontal coordinate, in percent of the width."""
        return round((at - self.left) / (self.right - self.left) * 100, 3)

    def write(self, xs: Sequence[float], values: Sequence[float]) -> str:
        """Points of a line."""
        digits, coordinate = self.axis.digits, self.axis.coordinate
        return " ".join([f"{x:.10g},{coordinate(value):.{digits}g}" for x, value in zip(xs, values, strict=True)])


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture.

    Attributes:
        label: What it shows, in a sentence.
        metric: What goes upwards.
        frame: Its axes.
        lines: The curves in the order of drawing, the best last.
        marks: Shapes at places of the lines.
        notes: What is behind the lines.
        labels: Words beside the lines.
        dots: Points that lead to trials.
        num_beyond: Lines that lie beyond the vertical axis altogether.
        num_partly: Lines of which a part lies beyond it.
        across: What goes to the right: `epoch`, or a word for a chart without learning curves.
    """

    label: str
    metric: Metric
    frame: Frame
    lines: list[Line]
    marks: list[Mark] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    num_beyond: int = 0
    num_partly: int = 0
    across: str = "epoch"


def study_chart(
    curves: Sequence[Curve],
    metric: Metric,
    *,
    max_epochs: int,
    best: int | None,
    scale: Scale = "auto",
    chosen: int | None = None,
    beside: Sequence[Curve] = (),
    beside_metric: str = "",
) -> Chart:
    """The curves of a study.

    Args:
        curves: The curves, at most one per trial.
        metric: What they show.
        max_epochs: Epochs that a trial may have.
        best: Id of the leading trial, drawn bold and last.
        scale: Of the vertical axis.
        chosen: Id of a trial that the reader asked for.
        beside: Curves of another metric of some of these trials, drawn dashed.
        beside_metric: That metric.
    """
    shown = [curve for curve in curves if curve.epochs]
    frame = study_frame([*shown, *beside], metric, max_epochs=max_epochs, scale=scale)
    drawn = sorted(shown, key=lambda curve: _depth(curve, best, chosen))
    lines = [_beside_line(curve, beside_metric, frame, best) for curve in beside]
    lines += [_study_line(curve, metric, frame, best, chosen) for curve in drawn]
    beyond = [[frame.axis.holds(value) for value in curve.values] for curve in shown]
    return Chart(
        f"Learning curves: {metric.name} by epoch of {len(shown)} trials",
        metric,
        frame,
        lines,
        marks=[*_ends(drawn, frame), *_best_mark(drawn, metric, frame, best)],
        num_beyond=sum(not any(inside) for inside in beyond),
        num_partly=sum(any(inside) and not all(inside) for inside in beyond),
    )


def study_frame(curves: Collection[Curve], metric: Metric, *, max_epochs: int, scale: Scale = "auto") -> Frame:
    """The axes of learning curves, which can be had without drawing any."""
    axis = value_axis([curve.values for curve in curves], is_minimized=metric.direction == "minimize", scale=scale)
    reported = max((curve.epochs[-1] for curve in curves if curve.epochs), default=0)
    return epoch_frame(axis, last_epoch(reported, max_epochs))


def epoch_frame(axis: ValueAxis, last: int, *, room: float = 0.0) -> Frame:
    """Axes from epoch 1 to the last.

    Args:
        axis: The vertical axis.
        last: The last epoch.
        room: Share of the width that is left free to the right, for labels.
    """
    margin = (last - 1) * _SIDE_MARGIN
    left, right = 1 - margin, last + margin + (last - 1) * room
    frame = Frame(axis, left, right, [], up_ticks(axis))
    frame.across.extend(Tick(frame.x(at), formats.count(at)) for at in epoch_ticks(last))
    return frame


def up_ticks(axis: ValueAxis) -> list[Tick]:
    """Ticks of a vertical axis, in percent of the height from the top."""
    return [Tick(round(tick.position / 10, 3), tick.label) for tick in axis.ticks()]


def best_value(values: Sequence[float], metric: Metric) -> float:
    """The best of some values."""
    return min(values) if metric.direction == "minimize" else max(values)


def _depth(curve: Curve, best: int | None, chosen: int | None) -> tuple[bool, bool, bool]:
    return curve.trial_id == best, curve.trial_id == chosen, curve.state == TrialState.RUNNING


def _study_line(curve: Curve, metric: Metric, frame: Frame, best: int | None, chosen: int | None) -> Line:
    value = formats.number(best_value(curve.values, metric))
    return Line(
        key=f"curve-{curve.trial_id}",
        number=curve.number,
        trial_id=curve.trial_id,
        state=curve.state.value,
        points=frame.write(curve.epochs, curve.values),
        title=f"Trial {curve.number}, {_ending(curve)}, best {metric.name} {value}",
        is_best=curve.trial_id == best,
        is_chosen=curve.trial_id == chosen,
    )


def _ending(curve: Curve) -> str:
    if curve.state == TrialState.FAILED and curve.stop_reason is not None:
        return f"{curve.state.value} ({formats.words(curve.stop_reason)})"
    return curve.state.value


def _beside_line(curve: Curve, name: str, frame: Frame, best: int | None) -> Line:
    title = f"{name} of trial {curve.number}, last {formats.number(curve.values[-1])}"
    points = frame.write(curve.epochs, curve.values)
    return Line(f"beside-{curve.trial_id}", "beside", points, title, name=name, is_best=curve.trial_id == best)


def _ends(curves: Sequence[Curve], frame: Frame) -> list[Mark]:
    return [
        Mark(str(curve.trial_id), curve.state.value, frame.x(curve.epochs[-1]), frame.axis.share(curve.values[-1]))
        for curve in curves
        if curve.state.value in MARKS
    ]


def _best_mark(curves: Sequence[Curve], metric: Metric, frame: Frame, best: int | None) -> list[Mark]:
    for curve in curves:
        if curve.trial_id == best:
            place = curve.values.index(best_value(curve.values, metric))
            return [Mark(str(best), "best", frame.x(curve.epochs[place]), frame.axis.share(curve.values[place]))]
    return []
