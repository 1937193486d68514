"""How the best value of a study came about, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from caviar.contract.views import Curve, History, Improvement, RoundView, StudyView
from service.web import formats
from service.web.pictures.axes import Scale, Tick, count_ticks, duration_ticks, value_axis
from service.web.pictures.chart import Chart, Dot, Frame, Line, Mark, Note, best_value, up_ticks

_MAX_ROUND_WORDS = 16
_MAX_DOTS = 300
_MARGIN = 0.012
# The first values of a study are much worse than those that matter.
_LOG_DECADES = 1.0


def history_chart(
    history: History,
    rounds: Sequence[RoundView],
    study: StudyView,
    running: Sequence[Curve] = (),
    *,
    is_by_time: bool,
    now: datetime,
    scale: Scale = "auto",
) -> Chart:
    """The best value so far as steps, with a dot at each improvement and a line where each round began.

    Args:
        history: The improvements.
        rounds: The rounds of the strategy.
        study: The study, for its target.
        running: Curves of trials in training, whose best values are shown at the right edge.
        is_by_time: Whether it goes along seconds since the study began, rather than along its epochs.
        now: The time at the right edge of a study that goes on.
        scale: Of the vertical axis.
    """
    metric = history.metric
    begun = history.created_at
    items = history.items
    end: float = ((history.ended_at or now) - begun).total_seconds() if is_by_time else history.num_epochs
    end = max(end, 1.0)

    def place(item: Improvement) -> float:
        return (item.at - begun).total_seconds() if is_by_time else item.num_epochs

    spread = [best_value(curve.values, metric) for curve in running if curve.epochs]
    target = study.budget.target
    values = [[item.value] for item in items] + [[value] for value in spread]
    if target is not None and items:
        values.append([target])
    axis = value_axis(values, is_minimized=metric.direction == "minimize", scale=scale, least_decades=_LOG_DECADES)
    margin = end * _MARGIN
    frame = Frame(axis, -margin, end + margin, [], up_ticks(axis))
    ticks = duration_ticks(end) if is_by_time else count_ticks(int(end))
    frame.across.extend(Tick(frame.x(at), label) for at, label in ticks)
    lines = [_steps(frame, items, [place(item) for item in items], end)] if items else []
    chart = Chart(
        f"Best {metric.name} by {'time' if is_by_time else 'epochs of the study'}",
        metric,
        frame,
        lines,
        dots=[_dot(frame, item, place(item), is_last=item is items[-1]) for item in items[-_MAX_DOTS:]],
        across="time" if is_by_time else "epochs",
    )
    chart.marks.extend(Mark("", "running", frame.x(end), axis.share(value)) for value in spread if axis.holds(value))
    chart.notes.extend(_rounds(frame, rounds, begun, is_by_time=is_by_time))
    if target is not None and axis.holds(target):
        chart.notes.append(Note("target", f"target {formats.number(target)}", y=axis.share(target)))
    return chart


def _steps(frame: Frame, items: Sequence[Improvement], places: Sequence[float], end: float) -> Line:
    xs: list[float] = []
    values: list[float] = []
    for position, (item, at) in enumerate(zip(items, places, strict=True)):
        if position:
            xs.append(at)
            values.append(items[position - 1].value)
        xs.append(at)
        values.append(item.value)
    xs.append(end)
    values.append(items[-1].value)
    title = f"{len(items)} improvements, from {formats.number(items[0].value)} to {formats.number(items[-1].value)}"
    return Line("best-so-far", "steps", frame.write(xs, values), title, name="best so far")


def _dot(frame: Frame, item: Improvement, at: float, *, is_last: bool) -> Dot:
    title = f"Trial {item.number}, {formats.number(item.value)} at its epoch {item.epoch}, {formats.instant(item.at)}"
    return Dot("best" if is_last else "", title, item.trial_id, frame.x(at), frame.axis.share(item.value))


def _rounds(frame: Frame, rounds: Sequence[RoundView], begun: datetime, *, is_by_time: bool) -> list[Note]:
    stride = -(-len(rounds) // _MAX_ROUND_WORDS)
    found: list[Note] = []
    last_word = -100.0
    for entry in rounds:
        if is_by_time and entry.opened_at is None:
            continue
        at = (entry.opened_at - begun).total_seconds() if is_by_time and entry.opened_at else entry.num_epochs
        x = frame.x(at)
        # Words of rounds that follow each other quickly would cover each other.
        has_word = entry.number % stride == 0 and x - last_word >= 100 / _MAX_ROUND_WORDS
        last_word = x if has_word else last_word
        found.append(Note("round", str(entry.number) if has_word else "", x))
    return found
