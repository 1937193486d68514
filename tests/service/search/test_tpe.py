"""TPE over the Optuna mirror."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState as OptunaState

from caviar.contract.states import StopReason, TrialState
from service.search.mirror import Mirror
from service.search.optuna_mirror import OptunaMirror
from service.search.registry import build_sampler
from tests.service.search.histories import grow
from tests.service.search.studies import Play, loss, rebuilt, study


def play_of(num_trials: int, seed: int = 7, **options: Any) -> Play:
    return Play(study(strategy={"kind": "tpe"} | options, pruner={"kind": "asha"}, seed=seed)).until(num_trials)


def told(mirror: Mirror) -> list[tuple[Any, ...]]:
    trials = mirror.index(OptunaMirror).study.get_trials(deepcopy=False)
    return [(trial.number, trial.state, trial.value, trial.params, trial.intermediate_values) for trial in trials]


def test_it_begins_with_our_own_random_draws() -> None:
    mirror, same = Mirror(study(strategy={"kind": "tpe"})), Mirror(study())
    for number in range(3):
        ours = build_sampler(same.spec).propose(same, number)
        assert build_sampler(mirror.spec).propose(mirror, number) == ours


@pytest.mark.parametrize("options", [{}, {"multivariate": False}, {"constant_liar": False}])
def test_proposals_fit_the_space_and_differ(options: dict[str, Any]) -> None:
    play = play_of(40, **options)
    for proposal in play.proposals:
        assert play.mirror.space.check(proposal.params) == proposal.params
    distinct = {tuple(trial.units) for trial in play.mirror.trials}
    assert len(distinct) == len(play.mirror.trials)
    optuna_mirror = play.mirror.index(OptunaMirror)
    assert optuna_mirror.num_results >= 10, "Optuna has proposed"


def test_a_restart_and_a_second_ask_change_nothing() -> None:
    play = play_of(30)
    number = len(play.mirror.trials)
    straight = play.sampler.propose(play.mirror, number)
    assert play.sampler.propose(play.mirror, number) == straight
    fresh = rebuilt(play.mirror)
    assert build_sampler(fresh.spec).propose(fresh, number) == straight
    assert told(fresh) == told(play.mirror)


def test_pending_trials_push_parallel_draws_apart() -> None:
    play = play_of(30)
    number = len(play.mirror.trials)
    before = play.sampler.propose(play.mirror, number + 1)
    play.mirror.add(number, number + 1, before.params)
    assert play.sampler.propose(play.mirror, number + 1) != before


@settings(max_examples=40)
@given(st.data(), st.sampled_from(["minimize", "maximize"]))
def test_the_optuna_study_follows_the_mirror(data: st.DataObject, direction: str) -> None:
    mirror = Mirror(study(metric={"name": "m", "direction": direction}))
    for _ in range(3):
        grow(mirror, data, max_steps=25)
        assert told(mirror) == told(rebuilt(mirror))
    for trial, (number, state, value, params, steps) in zip(mirror.trials, told(mirror), strict=True):
        assert number == trial.number
        assert params.keys() == trial.params.keys()
        assert (state is OptunaState.RUNNING) == (not trial.state.is_finished)
        if trial.stop_reason is StopReason.LOST:
            assert state is OptunaState.FAIL
        elif trial.stop_reason is StopReason.DIVERGED:
            assert (state, steps) == (OptunaState.PRUNED, {})
        elif trial.state is TrialState.PRUNED and trial.values:
            assert (state, steps) == (OptunaState.PRUNED, {max(trial.values): trial.value})
        elif trial.state is TrialState.COMPLETE and trial.values:
            assert (state, value) == (OptunaState.COMPLETE, trial.value)


def test_a_retried_trial_is_pending_again() -> None:
    play = play_of(20)
    told(play.mirror)
    finished = [trial.number for trial in play.mirror.trials if trial.state.is_finished]
    play.mirror.requeue(finished[0])
    assert told(play.mirror)[finished[0]][1] is OptunaState.RUNNING
    assert told(play.mirror) == told(rebuilt(play.mirror))


def test_repetitions_are_drawn_again() -> None:
    space = {"n": {"type": "int", "low": 1, "high": 6}}
    play = Play(study(space=space, strategy={"kind": "tpe", "n_startup_trials": 1}, seed=3))
    for _ in range(12):
        number = play.propose()
        play.mirror.measure(number, 1, float(play.mirror.trials[number].params["n"]))
        play.mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    assert len({trial.params["n"] for trial in play.mirror.trials}) >= 5


def test_a_space_of_single_values_works() -> None:
    space = {
        "only": {"type": "categorical", "choices": ["one"]},
        "x": {"type": "float", "low": 0.0, "high": 1.0},
    }
    play = Play(study(space=space, strategy={"kind": "tpe", "n_startup_trials": 1}))
    for _ in range(5):
        number = play.propose()
        play.mirror.measure(number, 1, float(play.mirror.trials[number].params["x"]))
        play.mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    assert {trial.params["only"] for trial in play.mirror.trials} == {"one"}


def test_it_finds_better_trials_than_chance() -> None:
    def best(kind: str, seed: int) -> float:
        play = Play(study(strategy={"kind": kind}, seed=seed)).until(50)
        return min(loss(trial.params, 16) for trial in play.mirror.trials)

    assert median(best("tpe", seed) for seed in range(5)) < median(best("random", seed) for seed in range(5))
