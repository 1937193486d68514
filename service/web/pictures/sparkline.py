"""The best value of a study over its epochs, as a line small enough for a row of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from caviar.contract.views import Improvement, StudyView
from service.web import formats
from service.web.pictures.axes import ValueAxis, value_axis

_WIDTH = 100
# Room for the mark at either end.
_MARGIN = 3
_LOG_DECADES = 0.7


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A picture of 100 by 1000 units.

    Attributes:
        path: The steps of the best value, greater values further up.
        best: Where the best value was reached.
        label: What it shows, in a sentence.
    """

    path: str
    best: str
    label: str


def history_axis(histories: Sequence[Sequence[float]], *, is_minimized: bool) -> ValueAxis:
    """The axis for best values over time.

    They fall steeply at first, and what counts comes later: so the axis is logarithmic already where the worst is more
    than five times the best, as long as lower values are better and all are positive.

    Args:
        histories: The best values of each study.
        is_minimized: Whether lower values are better.
    """
    return value_axis(histories, is_minimized=is_minimized, least_decades=_LOG_DECADES if is_minimized else math.inf)


def sparkline(study: StudyView, history: Sequence[Improvement]) -> Sparkline | None:
    """The picture of a study; None while it has no value.

    Args:
        study: It gives the metric, and the epochs that the line spans.
        history: Its improvements, the oldest first.
    """
    if not history:
        return None
    values = [gain.value for gain in history]
    axis = history_axis([values], is_minimized=study.metric.direction == "minimize")
    last = max(study.num_epochs, history[-1].num_epochs, 1)
    places = [_MARGIN + (_WIDTH - 2 * _MARGIN) * gain.num_epochs / last for gain in history]
    heights = [min(max(axis.position(value), 0.0), 1000.0) for value in values]
    steps = "".join(f"H{x:.1f}V{y:.0f}" for x, y in zip(places[1:], heights[1:], strict=True))
    label = (
        f"Best {study.metric.name} over {formats.count(last)} epochs: from {formats.number(values[0])} "
        f"to {formats.number(values[-1])}"
    )
    return Sparkline(
        path=f"M{places[0]:.1f} {heights[0]:.0f}{steps}H{_WIDTH - _MARGIN}",
        best=f"M{places[-1]:.1f} {heights[-1]:.0f}h0",
        label=label + (", on a logarithmic axis" if axis.is_log else ""),
    )
