"""The learning curves of a few trials in one picture, each with a stroke of its own and its number at its end."""

from __future__ import annotations

from collections.abc import Sequence

from caviar.contract.ranking import ComparedTrial
from caviar.contract.study import Metric
from service.web import formats
from service.web.pictures.axes import last_epoch, value_axis
from service.web.pictures.chart import Chart, Label, Line, Mark, best_value, epoch_frame

_ROOM = 0.06
_LEAST_DISTANCE = 6.0
"""Percent of the height between two labels, so that they can be read."""


def overlaid(trials: Sequence[ComparedTrial], metric: Metric, *, best: int | None) -> Chart | None:
    """Curves of trials; None if none of them has one.

    Args:
        trials: In the order of their strokes.
        metric: What they show.
        best: Id of the leading trial of the study.
    """
    drawn = [(place, trial) for place, trial in enumerate(trials) if trial.epochs]
    if not drawn:
        return None
    reported = max(trial.epochs[-1] for _, trial in drawn)
    axis = value_axis([trial.values for _, trial in drawn], is_minimized=metric.direction == "minimize", scale="auto")
    frame = epoch_frame(axis, last_epoch(reported, reported), room=_ROOM)
    lines, marks, ends = [], [], []
    for place, trial in drawn:
        title = f"Trial {trial.number}, {trial.state}, best {metric.name} "
        title += formats.number(best_value(trial.values, metric))
        points = frame.write(trial.epochs, trial.values)
        kind = f"stroke-{place}"
        lines.append(
            Line(f"curve-{trial.trial_id}", kind, points, title, trial.number, trial.trial_id,
                 is_best=trial.trial_id == best)
        )  # fmt: skip
        at = trial.values.index(best_value(trial.values, metric))
        marks.append(Mark(str(trial.trial_id), "lead", frame.x(trial.epochs[at]), axis.share(trial.values[at])))
        ends.append((axis.share(trial.values[-1]), frame.x(trial.epochs[-1]), kind, f"#{trial.number}"))
    label = f"Learning curves of {len(drawn)} trials: {metric.name} by epoch, dots at their best values"
    return Chart(label, metric, frame, lines, marks=marks, labels=_apart(ends))


def _apart(ends: list[tuple[float, float, str, str]]) -> list[Label]:
    """Labels at ends of lines, moved down where they would cover each other."""
    found: list[Label] = []
    for y, x, kind, text in sorted(ends):
        near = [label.y for label in found if abs(label.x - x) < _LEAST_DISTANCE]
        found.append(Label(kind, text, x, max([y, *(other + _LEAST_DISTANCE for other in near)])))
    return found
