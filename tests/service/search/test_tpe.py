"""TPE over the Optuna mirror."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial
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
        before = {epoch: v for epoch, v in trial.values.items() if epoch <= trial.promoted_epoch}
        if trial.stop_reason is StopReason.LOST:
            assert state is OptunaState.FAIL
        elif trial.stop_reason is StopReason.DIVERGED:
            assert (state, steps) == (OptunaState.PRUNED, {})
        elif trial.state in (TrialState.PRUNED, TrialState.PAUSED) and trial.values:
            assert (state, steps) == (OptunaState.PRUNED, {max(trial.values): trial.value})
        elif trial.state is TrialState.COMPLETE and trial.values:
            assert (state, value) == (OptunaState.COMPLETE, trial.value)
        elif not trial.state.is_finished and before:
            best = min(before.values()) if direction == "minimize" else max(before.values())
            assert (state, steps) == (OptunaState.PRUNED, {max(before): best})
        else:
            assert (state is OptunaState.RUNNING) == (not trial.state.is_finished)


@settings(max_examples=40)
@given(st.data(), st.sampled_from(["minimize", "maximize"]), st.integers(1, 6), st.integers(0, 6))
def test_an_extract_holds_the_best_and_the_latest(
    data: st.DataObject, direction: str, max_history: int, num_best: int
) -> None:
    mirror = Mirror(study(metric={"name": "m", "direction": direction}))
    grow(mirror, data, max_steps=60)
    optuna_mirror = mirror.index(OptunaMirror)
    everything = optuna_mirror.study.get_trials(deepcopy=False)
    shown = optuna_mirror.extract(max_history, num_best).get_trials(deepcopy=False)
    numbers = [trial.number for trial in shown]
    assert numbers == sorted(numbers)
    pending = [trial.number for trial in everything if trial.state is OptunaState.RUNNING]
    assert [trial.number for trial in shown if trial.state is OptunaState.RUNNING] == pending[-max_history:]
    known = [trial for trial in everything if trial.state in (OptunaState.COMPLETE, OptunaState.PRUNED)]
    assert optuna_mirror.num_results == len(known)
    sign = 1 if direction == "minimize" else -1
    ranked = sorted(known, key=lambda trial: (*standing(trial, sign), trial.number))
    best = [trial.number for trial in ranked[: min(num_best, max_history)]]
    latest = [trial.number for trial in reversed(known) if trial.number not in best]
    wanted = sorted(best + latest[: max_history - len(best)])
    assert [number for number in numbers if number not in pending] == wanted


def standing(trial: FrozenTrial, sign: int) -> tuple[int, int, float]:
    """Where Optuna ranks a trial: complete ones first, then by the last step."""
    if trial.value is not None:
        return 0, 0, sign * trial.value
    [(step, value)] = trial.intermediate_values.items() or [(0, 0.0)]
    return (1, -step, sign * value) if trial.intermediate_values else (2, 0, 0.0)


def test_trials_that_do_not_fit_an_edited_space_are_left_out() -> None:
    mirror = Mirror(study())
    mirror.add(0, 1, {"learning_rate": 99.0})
    mirror.start(0)
    mirror.measure(0, 1, 0.5)
    mirror.end(0, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    assert told(mirror) == [(0, OptunaState.FAIL, None, {}, {})]
    assert mirror.index(OptunaMirror).num_results == 0


@pytest.mark.parametrize("options", [{}, {"constant_liar": False}, {"multivariate": False, "constant_liar": False}])
def test_what_was_learnt_since_the_last_ask_counts(options: dict[str, Any]) -> None:
    play = play_of(30, **options)
    number = len(play.mirror.trials)
    for trial in list(play.mirror.trials):
        # The ranking turns round: what was best is worst now.
        play.mirror.start(trial.number)
        play.mirror.measure(trial.number, 1, -(trial.value or 0.0))
        play.mirror.end(trial.number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    fresh = rebuilt(play.mirror)
    assert play.sampler.propose(play.mirror, number) == build_sampler(fresh.spec).propose(fresh, number)


def test_a_retried_trial_is_pending_again() -> None:
    play = play_of(20)
    ended = next(trial.number for trial in play.mirror.trials if trial.state is TrialState.PAUSED)
    play.mirror.end(ended, TrialState.PRUNED, StopReason.PRUNED)
    assert told(play.mirror)[ended][1] is OptunaState.PRUNED
    play.mirror.requeue(ended)
    assert told(play.mirror)[ended][1] is OptunaState.RUNNING
    assert told(play.mirror) == told(rebuilt(play.mirror))


def test_a_history_that_is_cut_off_is_still_a_history() -> None:
    play = play_of(60, max_history=12)
    number = len(play.mirror.trials)
    cut = play.sampler.propose(play.mirror, number)
    assert cut == build_sampler(play.mirror.spec).propose(rebuilt(play.mirror), number)
    everything = play.mirror.spec.model_copy(update={"strategy": study(strategy={"kind": "tpe"}).strategy})
    assert build_sampler(everything).propose(play.mirror, number) != cut


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
