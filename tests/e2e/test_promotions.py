"""Pausing at rungs and promoting: nothing is lost by a restart, and a curve is the same with pauses as without."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from caviar import Client
from caviar.contract.states import AttemptEnd, StudyState, TrialState
from tests.e2e.books import digits_study, entries, num_epochs
from tests.e2e.processes import Site, site, until
from tests.e2e.scripted import train_with

_DEADLINE_S = 180.0


def _curve(client: Client, trial_id: int, metric: str) -> dict[int, float]:
    return {item.epoch: item.metrics[metric] for item in client.measurements(trial_id).items}


def _until_ended(here: Site, name: str) -> None:
    until(lambda: here.client.study(name).state.is_finished, deadline_s=_DEADLINE_S, what="the end of the study")


def _check_promotions(client: Client, name: str, rungs: list[int]) -> int:
    """Assert that decisions say their grounds and that no curve has a gap; how often a trial went on from a rung."""
    num_gone_on = 0
    for trial in client.trials(name):
        detail = client.trial(trial.trial_id)
        assert trial.state in (TrialState.COMPLETE, TrialState.PRUNED), trial
        assert sorted(_curve(client, trial.trial_id, "val_loss")) == list(range(1, trial.num_epochs + 1))
        for attempt in detail.attempts:
            assert attempt.first_epoch - 1 in (0, *rungs), "it went on from a checkpoint, if there was one"
        for decision in detail.decisions:
            assert decision.epoch in rungs
            assert {"rule", "rung", "value", "threshold", "rank", "kept", "peers"} <= set(decision.evidence)
            is_kept = decision.evidence["rank"] <= decision.evidence["kept"]
            num_gone_on += decision.decision in ("promote", "continue")
            if decision.decision == "promote":
                assert is_kept or decision.evidence["last_call"]
            elif decision.decision == "continue":
                assert is_kept
        if trial.state is TrialState.PRUNED:
            assert trial.evidence is not None
            assert trial.evidence["study_ended"] == "max_trials"
    return num_gone_on


def test_restarts_lose_no_rung_no_round_and_no_paused_trial(tmp_path: Path) -> None:
    budget = {"max_trials": 40, "max_epochs": 9}
    pruner = {"kind": "asha", "min_resource": 1, "reduction_factor": 3}
    body = digits_study("climb", strategy={"kind": "coarse_to_fine"}, pruner=pruner, budget=budget)
    with site(tmp_path) as here:
        here.client.create_study(body)
        for _ in range(2):
            train_with(here, 4, limit=5)
            before = here.client.study("climb")
            rounds = here.client.rounds("climb").items
            stored = entries(here.client, "climb")
            here.service.kill()
            here.start_service()
            after = here.client.study("climb")
            assert after.counts == before.counts
            assert after.counts.get(TrialState.PAUSED, 0) > 0, "the kill came in the middle"
            assert here.client.rounds("climb").items == rounds
            assert entries(here.client, "climb") == stored
        train_with(here, 4, limit=1000)
        study = here.client.study("climb")
        assert (study.state, study.num_trials) == (StudyState.COMPLETE, 40)
        assert len(here.client.rounds("climb").items) > 3
        # Of 40 trials one in three goes on from the first rung, and of these one in three from the second.
        assert _check_promotions(here.client, "climb", [1, 3]) >= 13 + 4
        replay = here.client.replay("climb")
        assert (replay.is_identical, replay.num_checked) == (True, 40)


def _small(name: str, pruner: dict[str, Any]) -> dict[str, Any]:
    return digits_study(name, pruner=pruner, budget={"max_trials": 6, "max_epochs": 6}, retries=5)


@pytest.mark.slow
def test_a_curve_is_the_same_with_pauses_and_a_killed_worker_as_without(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.client.create_study(_small("straight", {"kind": "none"}))
        first = here.start_worker("first")
        here.start_worker("second")
        _until_ended(here, "straight")
        here.client.create_study(_small("paused", {"kind": "asha", "min_resource": 2, "reduction_factor": 3}))
        until(lambda: num_epochs(here.client, "paused") >= 8, deadline_s=_DEADLINE_S, what="8 epochs")
        first.signal(signal.SIGKILL)
        _until_ended(here, "paused")
        assert _check_promotions(here.client, "paused", [2]) > 0
        straight = {trial.number: trial for trial in here.client.trials("straight")}
        num_resumed = 0
        for trial in here.client.trials("paused"):
            assert trial.params == straight[trial.number].params
            expected = _curve(here.client, straight[trial.number].trial_id, "val_loss")
            for epoch, value in _curve(here.client, trial.trial_id, "val_loss").items():
                assert value == pytest.approx(expected[epoch], abs=1e-6)
            attempts = here.client.trial(trial.trial_id).attempts
            num_resumed += sum(attempt.first_epoch > 1 for attempt in attempts)
            paused = [attempt.end for attempt in attempts if attempt.end is AttemptEnd.PAUSED]
            assert len(paused) <= 1
        assert num_resumed > 0
