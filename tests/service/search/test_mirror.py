"""The mirror: what it keeps, and that what is derived from it depends on its content alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import StopReason, TrialState
from caviar.contract.views import RoundView
from service.search.mirror import Mirror, TrialRecord
from service.search.pruners.percentile import CompleteIndex
from service.search.ranking import Ranking
from service.search.rungs import Ladder, RungIndex
from tests.service.search.histories import grow
from tests.service.search.studies import rebuilt, study


def filled(num_trials: int, **changes: object) -> Mirror:
    mirror = Mirror(study(**changes))
    for number in range(num_trials):
        mirror.add(number, 100 + number, mirror.space.params_at([(number + 0.5) / num_trials] * len(mirror.space)))
    return mirror


def test_a_new_trial_waits_and_knows_its_coordinates() -> None:
    trial = filled(1).trials[0]
    assert trial.state is TrialState.WAITING
    assert trial.trial_id == 100
    assert trial.value is trial.best_epoch is None
    assert trial.units[0] == pytest.approx(0.5)
    assert trial.units[-1] is None, "momentum and is_nesterov need sgd"


@pytest.mark.parametrize("number", [0, 2])
def test_numbers_are_contiguous(number: int) -> None:
    mirror = filled(1)
    with pytest.raises(ValueError, match=f"received trial number {number}, expected 1"):
        mirror.add(number, 1, mirror.trials[0].params)


def test_round_numbers_are_contiguous() -> None:
    with pytest.raises(ValueError, match="received round number 1, expected 0"):
        filled(0).open_round(RoundView(number=1, first_trial=0, windows={}))


def test_a_study_without_a_space_is_refused() -> None:
    with pytest.raises(ValueError, match="has no space"):
        Mirror(study(space=None))


@pytest.mark.parametrize(("direction", "best", "epoch"), [("minimize", 1.0, 2), ("maximize", 3.0, 1)])
def test_the_value_is_the_best_at_its_first_epoch(direction: str, best: float, epoch: int) -> None:
    mirror = filled(1, metric={"name": "m", "direction": direction})
    mirror.start(0)
    for number, value in enumerate([3.0, 1.0, 3.0, 1.0], start=1):
        mirror.measure(0, number, value)
    assert (mirror.trials[0].value, mirror.trials[0].best_epoch) == (best, epoch)


def test_a_new_attempt_forgets_the_epochs_that_it_trains_again() -> None:
    mirror = filled(1)
    mirror.start(0)
    for epoch, value in enumerate([3.0, 2.0, 1.0], start=1):
        mirror.measure(0, epoch, value)
    mirror.requeue(0)
    assert mirror.trials[0].state is TrialState.WAITING
    mirror.start(0, first_epoch=3)
    assert mirror.trials[0].values == {1: 3.0, 2: 2.0}
    assert (mirror.trials[0].value, mirror.trials[0].best_epoch) == (2.0, 2)
    mirror.start(0)
    assert mirror.trials[0].values == {}
    assert mirror.trials[0].value is None


def test_an_epoch_told_again_replaces_the_old_value() -> None:
    mirror = filled(1)
    mirror.start(0)
    mirror.measure(0, 1, 1.0)
    mirror.measure(0, 1, 2.0)
    assert mirror.trials[0].value == 2.0


def test_an_end_is_kept_and_a_retry_takes_it_back() -> None:
    mirror = filled(1)
    mirror.start(0)
    mirror.end(0, TrialState.FAILED, StopReason.DIVERGED)
    assert (mirror.trials[0].state, mirror.trials[0].stop_reason) == (TrialState.FAILED, StopReason.DIVERGED)
    mirror.requeue(0)
    assert mirror.trials[0].stop_reason is None


def test_taken_configurations_are_known_after_rounding() -> None:
    mirror = filled(1)
    same = dict(mirror.trials[0].params)
    assert mirror.is_taken(same)
    assert not mirror.is_taken(same | {"num_layers": 1})


@given(st.data(), st.sampled_from(["minimize", "maximize"]))
def test_a_trial_restored_at_once_is_as_if_told_step_by_step(data: st.DataObject, direction: str) -> None:
    mirror = filled(3, metric={"name": "m", "direction": direction})
    grow(mirror, data)
    at_once, by_steps = Mirror(mirror.spec), rebuilt(mirror)
    for trial in mirror.trials:
        found_anew: dict[str, Any] = {"units": [], "fits": False, "value": None, "best_epoch": None}
        at_once.restore(replace(trial, values=dict(sorted(trial.values.items())), **found_anew))
    assert at_once.trials == by_steps.trials
    assert at_once.num_by_state == by_steps.num_by_state
    assert at_once.num_proposed == by_steps.num_proposed
    assert all(at_once.is_taken(trial.params) for trial in mirror.trials)


def test_a_restored_trial_that_does_not_fit_has_no_coordinates() -> None:
    mirror = filled(0)
    mirror.restore(TrialRecord(0, 7, {"no such parameter": 1}, values={1: 0.5}, state=TrialState.COMPLETE))
    assert not mirror.trials[0].fits
    assert mirror.trials[0].units == [None] * len(mirror.space)
    assert mirror.trials[0].value == 0.5


@given(st.data(), st.sampled_from(["minimize", "maximize"]))
def test_indexes_depend_on_the_content_alone(data: st.DataObject, direction: str) -> None:
    mirror = filled(3, metric={"name": "m", "direction": direction})
    for _ in range(3):
        grow(mirror, data, max_steps=25)
        fresh = rebuilt(mirror)
        for kind, arguments, fields in (
            (RungIndex, (Ladder((2, 4, 8)),), ("recorded", "paused", "num_beyond")),
            (Ranking, ((2, 4, 8),), ("order", "failures", "num_results")),
            (CompleteIndex, (), ("complete",)),
        ):
            kept, built = mirror.index(kind, *arguments), fresh.index(kind, *arguments)
            assert [getattr(kept, field) for field in fields] == [getattr(built, field) for field in fields]
        kept_values = {epoch: values for epoch, values in mirror.index(CompleteIndex).at_epoch.items() if values}
        assert kept_values == fresh.index(CompleteIndex).at_epoch


@given(st.data())
def test_the_ranking_puts_rungs_before_values_and_leaves_failures_out(data: st.DataObject) -> None:
    mirror = filled(3)
    grow(mirror, data)
    rungs = (2, 4, 8)
    ranking = mirror.index(Ranking, rungs)

    def reached(number: int) -> int:
        trial = mirror.trials[number]
        is_complete = trial.state is TrialState.COMPLETE
        return len(rungs) + 1 if is_complete else sum(max(trial.values, default=0) >= rung for rung in rungs)

    ranked = ranking.best(len(mirror.trials))
    assert [reached(number) for number in ranked] == sorted(map(reached, ranked), reverse=True)
    for trial in mirror.trials:
        failed = trial.state is TrialState.FAILED
        assert (trial.number in ranked) == (trial.value is not None and not failed and reached(trial.number) > 0)
        assert (trial.number in ranking.failures) == (failed and trial.stop_reason is StopReason.DIVERGED)
    for one, other in pairwise(ranked):
        if reached(one) == reached(other) == len(rungs) + 1:
            assert mirror.trials[one].value <= mirror.trials[other].value  # type: ignore[operator]
