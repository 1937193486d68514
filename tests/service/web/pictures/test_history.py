"""The best value so far as steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from caviar.contract.states import TrialState
from caviar.contract.study import Metric, StudySpec
from caviar.contract.views import Curve, History, Improvement, RoundView, StudyView
from service.web.pictures.chart import Chart
from service.web.pictures.history import history_chart

BEGUN = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPEC = {"name": "s", "objective": {"name": "o"}, "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}}}


def study(**budget: Any) -> StudyView:
    spec = StudySpec.model_validate(SPEC | {"budget": {"max_trials": 9, "max_epochs": 9} | budget})
    told = {name: getattr(spec, name) for name in StudySpec.model_fields}
    moments = {"created_at": BEGUN, "updated_at": BEGUN}
    return StudyView(**told, state="running", counts={}, num_trials=0, num_epochs=0, last_event_seq=0, **moments)


def improvement(num_epochs: int, value: float, at_s: float) -> Improvement:
    at = BEGUN + timedelta(seconds=at_s)
    return Improvement(trial_id=num_epochs, number=num_epochs, epoch=1, value=value, num_epochs=num_epochs, at=at)


def chart(*items: Improvement, num_rounds: int = 0, is_by_time: bool = False, **budget: Any) -> Chart:
    rounds = [
        RoundView(
            number=number,
            first_trial=0,
            windows={},
            num_epochs=number * 10,
            opened_at=BEGUN + timedelta(seconds=number * 60),
        )
        for number in range(num_rounds)
    ]
    told = History(study="s", metric=Metric(), num_epochs=100, created_at=BEGUN, items=list(items))
    running = Curve(trial_id=7, number=7, state=TrialState.RUNNING, epochs=[1, 2], values=[0.9, 0.6])
    now = BEGUN + timedelta(seconds=600)
    return history_chart(told, rounds, study(**budget), [running], is_by_time=is_by_time, now=now)


ITEMS = (improvement(1, 1.0, 5), improvement(20, 0.5, 60))


def test_a_step_leads_from_each_value_to_the_next_and_on_to_now() -> None:
    [line] = chart(*ITEMS).lines
    assert line.points == "1,1 20,1 20,0.5 100,0.5"
    [line] = chart(*ITEMS, is_by_time=True).lines
    assert line.points == "5,1 60,1 60,0.5 600,0.5"


def test_each_improvement_is_a_dot_and_the_last_one_the_best() -> None:
    found = chart(*ITEMS)
    assert [(dot.kind, dot.trial_id) for dot in found.dots] == [("", 1), ("best", 20)]
    assert found.dots[1].title == "Trial 20, 0.5 at its epoch 1, 2026-11-21 12:01:00 UTC"
    assert found.dots[0].x < found.dots[1].x


def test_rounds_are_upright_lines_whose_numbers_leave_room() -> None:
    notes = chart(*ITEMS, num_rounds=5).notes
    assert [note.text for note in notes] == ["0", "1", "2", "3", "4"]
    assert notes[1].x == chart(*ITEMS).frame.x(10)
    assert chart(*ITEMS, num_rounds=5, is_by_time=True).notes[1].x == chart(*ITEMS, is_by_time=True).frame.x(60)
    many = chart(*ITEMS, num_rounds=40).notes
    assert len(many) == 40
    assert sum(bool(note.text) for note in many) <= 16


def test_the_target_is_a_level() -> None:
    [target] = chart(*ITEMS, target=0.4).notes
    assert (target.text, target.x) == ("target 0.4", None)
    assert target.y == chart(*ITEMS, target=0.4).frame.axis.share(0.4)


def test_running_trials_are_at_the_right_edge() -> None:
    found = chart(*ITEMS)
    assert [(mark.kind, mark.x) for mark in found.marks] == [("running", found.frame.x(100))]


def test_a_decade_is_enough_for_a_log_axis() -> None:
    assert chart(improvement(1, 1.0, 1), improvement(2, 0.05, 2)).frame.axis.is_log
    assert not chart(*ITEMS).frame.axis.is_log


@pytest.mark.parametrize("is_by_time", [False, True])
def test_nothing_yet_is_no_line(is_by_time: bool) -> None:
    found = chart(is_by_time=is_by_time, target=0.4)
    assert (found.lines, found.dots) == ([], [])
