"""The benchmarks of the search drive the real service, and count what really happens."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from benchmarks.search.fleet import Fleet
from benchmarks.search.history import SPACE, Past, fill
from benchmarks.search.in_process import OBJECTIVE, InProcess
from benchmarks.search.simulator import CaviarSearcher, load
from benchmarks.search.systems import Diary
from caviar.contract.states import StudyState, TrialState
from caviar.contract.study import StudySpec


class _Assignment(NamedTuple):
    key: Any
    params: dict[str, Any]
    first_epoch: int = 1


SIMULATOR = SimpleNamespace(EPOCHS=9, SPACE=SPACE, Assignment=_Assignment)


def _spec(**changes: Any) -> StudySpec:
    body = {
        "name": "bench",
        "objective": {"name": OBJECTIVE},
        "space": SPACE,
        "early_stopping": None,
        "budget": {"max_trials": 1000, "max_epochs": 9},
    }
    return StudySpec.model_validate(body | changes)


def _search(variant: dict[str, Any], budget: int) -> tuple[list[tuple[int, int]], Counter[str]]:
    """Train one trial after the other; the `(trial id, epoch)` of every epoch, and the decisions."""
    trained: list[tuple[int, int]] = []
    decisions: Counter[str] = Counter()
    with CaviarSearcher(SIMULATOR, variant, seed=1, budget=budget) as searcher:
        while len(trained) < budget:
            key, params, first_epoch = searcher.claim()
            for epoch in range(first_epoch, SIMULATOR.EPOCHS + 1):
                trained.append((key.trial_id, epoch))
                decision = searcher.report(key, epoch, abs(math.log(params["learning_rate"] / 0.01)) + 1 / epoch)
                decisions[decision] += 1
                if decision != "continue":
                    break
                if epoch == SIMULATOR.EPOCHS:
                    searcher.finish(key, 0.0)
        searcher.check()
        assert searcher.claim().key is None
    return trained, decisions


@pytest.mark.parametrize(("promote", "expected"), [(True, {"pause"}), (False, {"stop"})])
def test_a_simulated_search_trains_every_epoch_once_and_in_order(promote: bool, expected: set[str]) -> None:
    variant = {"strategy": {"kind": "random"}, "pruner": {"kind": "asha", "promote": promote}}
    trained, decisions = _search(variant, 120)
    assert len(trained) == len(set(trained)) == 120
    for trial_id in {trial_id for trial_id, _ in trained}:
        epochs = [epoch for other, epoch in trained if other == trial_id]
        assert epochs == list(range(1, len(epochs) + 1))
    assert expected <= set(decisions)


def test_a_run_in_which_a_trial_was_lost_is_refused() -> None:
    variant = {"strategy": {"kind": "random"}, "pruner": {"kind": "none"}}
    with CaviarSearcher(SIMULATOR, variant, seed=1, budget=50) as searcher:
        searcher.claim()
        searcher._num_epochs += 1
        with pytest.raises(RuntimeError, match="trained 1 epochs, the service has 0"):
            searcher.check()


def test_a_folder_without_the_simulator_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"{tmp_path}.*--simulator"):
        load(tmp_path)


def test_a_written_past_is_one_that_the_service_goes_on_from() -> None:
    spec = _spec()
    with InProcess(spec) as service:
        fill(service.service.engine, spec, Past(200, has_rounds=True), service.clock())
        stored = service.study()
        assert stored.counts[TrialState.COMPLETE] == 200 // 16
        assert stored.counts[TrialState.PAUSED] == 200 - 200 // 16
        # Who was good enough has gone on already, so the next trial is a new one.
        assignment = service.claim()
        assert assignment is not None
        assert (assignment.number, assignment.first_epoch) == (200, 1)


def test_a_fleet_keeps_its_slots_busy() -> None:
    with InProcess(_spec()) as service:
        fleet = Fleet(service, 3)
        for _ in range(40):
            fleet.step()
        stored = service.study()
        assert stored.state is StudyState.RUNNING
        assert stored.num_epochs == 40
        assert stored.counts[TrialState.RUNNING] == 3
        assert len(fleet.proposed_s) == stored.num_trials


def test_a_diary_knows_when_a_value_was_reached() -> None:
    diary = Diary(budget=4)
    for value in (3.0, math.nan, 1.0):
        diary.add(value)
    assert diary.bests == [3.0, 3.0, 1.0]
    assert (diary.epochs_to(3.0), diary.epochs_to(2.0), diary.epochs_to(0.5)) == (1, 3, math.inf)
    assert not diary.is_full
    diary.add(2.0)
    assert diary.is_full
