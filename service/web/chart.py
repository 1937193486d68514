"""Learning curves as lines of an SVG picture, which a script only has to lengthen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from caviar.contract.states import TrialState
from caviar.contract.study import Metric
from caviar.contract.views import Curve
from service.web import formats
from service.web.axes import Tick, ValueAxis, epoch_ticks, last_epoch, value_axis

_MAX_POINTS = 20_000
_MIN_POINTS_PER_LINE = 20
# Marks at the ends of lines would be cut in halves at the edges of the plot.
_SIDE_MARGIN = 0.015

Series = tuple[Sequence[int], Sequence[float]]
"""Epochs, rising, and the values of a metric after them."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve.

    Attributes:
        key: Identifier within the page.
        number: Number of the trial.
        trial_id: The trial.
        state: Its state, or the name of the metric where one trial's metrics are compared.
        points: Pairs of epoch and position for `polyline`.
        best_value: Its best value.
        title: A sentence about it.
        end: Its last point, as a mark is drawn there.
        is_best: Whether it is to stand out.
    """

    key: str
    number: int
    trial_id: int
    state: str
    points: str
    best_value: str
    title: str
    end: str
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of learning curves.

    Attributes:
        label: What it shows, in a sentence.
        axis: The vertical axis.
        left: Epoch at the left edge.
        right: Epoch at the right edge.
        epochs: Round epochs, with their positions in percent of the width.
        values: Ticks of the vertical axis.
        lines: The curves in the order of drawing, the best last.
        num_beyond: Curves that lie beyond the vertical axis altogether.
    """

    label: str
    axis: ValueAxis
    left: float
    right: float
    epochs: list[Tick]
    values: list[Tick]
    lines: list[Line]
    num_beyond: int

    @property
    def view_box(self) -> str:
        """The plot's coordinate system: epochs to the right, thousandths of the height down."""
        return f"{self.left:g} 0 {self.right - self.left:g} 1000"


def study_chart(curves: Sequence[Curve], metric: Metric, *, max_epochs: int, best: int | None) -> Chart:
    """The curves of a study.

    Args:
        curves: The curves, at most one per trial.
        metric: What they show.
        max_epochs: Epochs that a trial may have.
        best: Id of the leading trial, drawn bold and last.
    """
    shown = [curve for curve in curves if curve.epochs]
    axis = value_axis([curve.values for curve in shown], is_minimized=metric.direction == "minimize")
    limit = max(_MIN_POINTS_PER_LINE, _MAX_POINTS // max(len(shown), 1))
    lines = [_study_line(curve, metric, axis, limit, is_best=curve.trial_id == best) for curve in shown]
    lines.sort(key=lambda line: (line.is_best, line.state == TrialState.RUNNING))
    beyond = sum(1 for curve in shown if all(_is_beyond(axis, value) for value in curve.values))
    label = f"Learning curves: {metric.name} by epoch of {len(shown)} trials"
    reported = max((curve.epochs[-1] for curve in shown), default=0)
    return _chart(label, axis, lines, last_epoch(reported, max_epochs), beyond)


def trial_chart(series: Mapping[str, Series], metric: Metric, *, max_epochs: int) -> Chart:
    """Metrics of one trial, the study's own one bold.

    Args:
        series: Epochs and values by name of the metric.
        metric: The metric of the study.
        max_epochs: Epochs that the trial may have.
    """
    axis = value_axis([values for _, values in series.values()], is_minimized=metric.direction == "minimize")
    lines = [
        Line(
            key=f"metric-{position}",
            number=position,
            trial_id=0,
            state=name,
            points=_points(axis, epochs, values, _MAX_POINTS),
            best_value=formats.number(_best(values, metric)),
            title=f"{name}, last {formats.number(values[-1])}",
            end=_point(axis, epochs[-1], values[-1]),
            is_best=name == metric.name,
        )
        for position, (name, (epochs, values)) in enumerate(series.items())
        if epochs
    ]
    lines.sort(key=lambda line: line.is_best)
    reported = max((epochs[-1] for epochs, _ in series.values() if epochs), default=0)
    return _chart(f"{' and '.join(series)} by epoch", axis, lines, last_epoch(reported, max_epochs), 0)


def _study_line(curve: Curve, metric: Metric, axis: ValueAxis, limit: int, *, is_best: bool) -> Line:
    best = formats.number(_best(curve.values, metric))
    return Line(
        key=f"curve-{curve.trial_id}",
        number=curve.number,
        trial_id=curve.trial_id,
        state=curve.state.value,
        points=_points(axis, curve.epochs, curve.values, limit),
        best_value=best,
        title=f"Trial {curve.number}, {curve.state.value}, best {metric.name} {best}",
        end=_point(axis, curve.epochs[-1], curve.values[-1]),
        is_best=is_best,
    )


def _chart(label: str, axis: ValueAxis, lines: list[Line], last: int, beyond: int) -> Chart:
    margin = (last - 1) * _SIDE_MARGIN
    left, right = 1 - margin, last + margin
    epochs = [Tick(round((at - left) / (right - left) * 100, 3), formats.count(at)) for at in epoch_ticks(last)]
    return Chart(label, axis, left, right, epochs, axis.ticks(), lines, beyond)


def _points(axis: ValueAxis, epochs: Sequence[int], values: Sequence[float], limit: int) -> str:
    stride = -(-len(epochs) // limit)
    # Counted from the end, so that the newest epoch is always there.
    kept = range((len(epochs) - 1) % stride, len(epochs), stride) if stride > 1 else range(len(epochs))
    return " ".join(_point(axis, epochs[i], values[i]) for i in kept)


def _point(axis: ValueAxis, epoch: int, value: float) -> str:
    return f"{epoch},{axis.position(value):.2f}"


def _best(values: Iterable[float], metric: Metric) -> float:
    return min(values) if metric.direction == "minimize" else max(values)


def _is_beyond(axis: ValueAxis, value: float) -> bool:
    return not 0 <= axis.position(value) <= 1000
