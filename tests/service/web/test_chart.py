"""Learning curves as lines."""

from __future__ import annotations

from caviar.contract.states import TrialState
from caviar.contract.study import Metric
from caviar.contract.views import Curve
from service.web.axes import HEIGHT
from service.web.chart import study_chart, trial_chart


def curve(number: int, values: list[float], state: TrialState = TrialState.COMPLETE) -> Curve:
    epochs = list(range(1, len(values) + 1))
    return Curve(trial_id=100 + number, number=number, state=state, epochs=epochs, values=values)


def test_the_best_is_drawn_last_and_running_ones_before_it() -> None:
    curves = [curve(0, [0.5, 0.1]), curve(1, [0.9], TrialState.RUNNING), curve(2, [0.6]), curve(3, [])]
    chart = study_chart(curves, Metric(), max_epochs=10, best=100)
    assert [line.number for line in chart.lines] == [2, 1, 0]
    assert [line.is_best for line in chart.lines] == [False, False, True]
    assert chart.lines[-1].title == "Trial 0, complete, best val_loss 0.1"


def test_points_are_epochs_and_places_on_the_axis() -> None:
    chart = study_chart([curve(0, [1.0, 0.5])], Metric(), max_epochs=10, best=None)
    points = [tuple(map(float, point.split(","))) for point in chart.lines[0].points.split()]
    assert points == [(1, round(chart.axis.position(1.0), 2)), (2, round(chart.axis.position(0.5), 2))]
    assert chart.lines[0].end == chart.lines[0].points.split()[-1]
    left, _, width, height = map(float, chart.view_box.split())
    assert left < 1
    assert left + width > 2
    assert height == HEIGHT


def test_the_best_value_follows_the_direction() -> None:
    chart = study_chart([curve(0, [0.5, 0.8])], Metric(direction="maximize"), max_epochs=10, best=None)
    assert chart.lines[0].best_value == "0.8"


def test_curves_beyond_the_axis_are_counted() -> None:
    curves = [curve(number, [1.0, 0.5 + number / 100]) for number in range(9)] + [curve(9, [1e6, 1e7])]
    assert study_chart(curves, Metric(), max_epochs=10, best=None).num_beyond == 1


def test_long_curves_are_thinned_but_keep_their_last_epoch() -> None:
    curves = [curve(number, [1 / (epoch + number + 1) for epoch in range(1003)]) for number in range(100)]
    chart = study_chart(curves, Metric(), max_epochs=1003, best=None)
    assert sum(len(line.points.split()) for line in chart.lines) <= 20_000
    assert all(line.points.split()[-1].startswith("1003,") for line in chart.lines)


def test_a_trial_compares_training_with_validation() -> None:
    series = {"val_loss": ([1, 2], [0.9, 0.5]), "loss": ([1, 2], [0.8, 0.4])}
    chart = trial_chart(series, Metric(), max_epochs=10)
    assert [(line.state, line.is_best) for line in chart.lines] == [("loss", False), ("val_loss", True)]
    assert chart.label == "val_loss and loss by epoch"


def test_without_epochs_there_are_no_lines() -> None:
    assert study_chart([curve(0, [])], Metric(), max_epochs=10, best=None).lines == []
    assert trial_chart({}, Metric(), max_epochs=10).lines == []
