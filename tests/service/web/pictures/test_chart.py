"""Learning curves as lines in coordinates of their own."""

from __future__ import annotations

import math

import pytest

from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import Metric
from caviar.contract.views import Curve
from service.web.pictures.chart import Chart, Line, study_chart


def curve(number: int, values: list[float], state: TrialState = TrialState.COMPLETE) -> Curve:
    epochs = list(range(1, len(values) + 1))
    return Curve(trial_id=100 + number, number=number, state=state, epochs=epochs, values=values)


def drawn(*curves: Curve, metric: Metric | None = None, best: int | None = None, **changes: object) -> Chart:
    return study_chart(curves, metric or Metric(), max_epochs=10, best=best, **changes)  # type: ignore[arg-type]  # Options by name.


def points(line: Line) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (point.split(",") for point in line.points.split())]


def test_the_best_is_drawn_last_and_running_ones_before_it() -> None:
    curves = [curve(0, [0.5, 0.1]), curve(1, [0.9], TrialState.RUNNING), curve(2, [0.6]), curve(3, [])]
    chart = drawn(*curves, best=100, chosen=102)
    assert [line.number for line in chart.lines] == [1, 2, 0]
    assert [line.is_best for line in chart.lines] == [False, False, True]
    assert [line.is_chosen for line in chart.lines] == [False, True, False]
    assert chart.lines[-1].title == "Trial 0, complete, best val_loss 0.1"


def test_points_are_epochs_and_values() -> None:
    chart = drawn(curve(0, [1.0, 0.5]))
    assert not chart.frame.axis.is_log
    assert points(chart.lines[0]) == [(1, 1.0), (2, 0.5)]
    left, top, width, height = map(float, chart.frame.view_box.split())
    assert left < 1
    assert left + width > 2
    assert -top == pytest.approx(chart.frame.axis.high)
    assert height == pytest.approx(chart.frame.axis.high - chart.frame.axis.low)


def test_on_a_log_axis_they_are_logarithms() -> None:
    chart = drawn(curve(0, [100.0, 0.25]))
    assert points(chart.lines[0]) == [(1, 2.0), (2, pytest.approx(math.log10(0.25), abs=1e-5))]
    assert points(drawn(curve(0, [100.0, 0.25]), scale="linear").lines[0]) == [(1, 100.0), (2, 0.25)]


def test_coordinates_keep_the_digits_of_a_narrow_axis() -> None:
    chart = drawn(curve(0, [1000.00001, 1000.00002]))
    [(_, first), (_, second)] = points(chart.lines[0])
    assert second - first == pytest.approx(1e-5, rel=0.01)


def test_ends_are_marked_by_state() -> None:
    states = [TrialState.RUNNING, TrialState.PAUSED, TrialState.PRUNED, TrialState.FAILED, TrialState.COMPLETE]
    chart = drawn(*(curve(number, [0.9, 0.5], state) for number, state in enumerate(states)), best=104)
    assert {mark.of: mark.kind for mark in chart.marks} == {
        "100": "running",
        "101": "paused",
        "102": "pruned",
        "103": "failed",
        "104": "best",
    }
    assert len({mark.shape for mark in chart.marks}) == 5
    end = chart.marks[0]
    assert (end.x, end.y) == (chart.frame.x(2), chart.frame.axis.share(0.5))


def test_the_best_trial_is_marked_where_it_was_best() -> None:
    chart = drawn(curve(0, [0.5, 0.2, 0.4]), best=100)
    [mark] = chart.marks
    assert (mark.kind, mark.x, mark.y) == ("best", chart.frame.x(2), chart.frame.axis.share(0.2))
    upwards = drawn(curve(0, [0.5, 0.2, 0.4]), metric=Metric(direction="maximize"), best=100)
    assert upwards.marks[0].x == upwards.frame.x(1)


def test_sentences_say_the_best_and_why_it_failed() -> None:
    chart = drawn(curve(0, [0.5, 0.8]), metric=Metric(direction="maximize"))
    assert chart.lines[0].title.endswith("best val_loss 0.8")
    failed = curve(1, [0.5], TrialState.FAILED).model_copy(update={"stop_reason": StopReason.OUT_OF_MEMORY})
    assert drawn(failed).lines[0].title == "Trial 1, failed (out of memory), best val_loss 0.5"


def test_curves_beyond_the_axis_are_counted() -> None:
    curves = [curve(number, [1.0, 0.5 + number / 100]) for number in range(9)]
    chart = drawn(*curves, curve(9, [1e6, 1e7]), curve(10, [0.9, 1e9]))
    assert chart.num_beyond == 1
    assert chart.num_partly == 1
    far = max(y for line in chart.lines for _, y in points(line))
    assert far <= chart.frame.axis.high + 1001 * (chart.frame.axis.high - chart.frame.axis.low)


def test_a_second_metric_lies_beside_the_first() -> None:
    loss = curve(0, [0.3, 0.05])
    chart = drawn(curve(0, [0.5, 0.4]), curve(1, [0.6]), best=100, beside=[loss], beside_metric="loss")
    assert [(line.state, line.name) for line in chart.lines] == [("beside", "loss"), ("complete", ""), ("complete", "")]
    assert chart.lines[0].is_best
    assert chart.frame.axis.holds(0.05)


def test_without_epochs_there_are_no_lines() -> None:
    assert drawn(curve(0, [])).lines == []
