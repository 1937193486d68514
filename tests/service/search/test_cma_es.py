"""CMA-ES: a function of the trials, and one that finds its way."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caviar.contract.states import StopReason, TrialState
from service.search.evolution import Evolution, EvolutionOptions
from service.search.mirror import Mirror
from service.search.registry import build_sampler
from tests.service.search.histories import grow
from tests.service.search.studies import Play, loss, rebuilt, study

STRATEGY = {"kind": "cma_es"}
OPTIONS = EvolutionOptions(sigma0=0.2, popsize=4, n_startup_trials=2)


def play_of(num_trials: int, seed: int = 7, **options: Any) -> Play:
    return Play(study(strategy=STRATEGY | options, pruner={"kind": "median"}, seed=seed)).until(num_trials)


def finish(mirror: Mirror, number: int, value: float) -> None:
    mirror.start(number)
    mirror.measure(number, 1, value)
    mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)


@pytest.mark.parametrize("options", [{}, {"popsize": 4, "n_startup_trials": 0}, {"sigma0": 2.0}])
def test_proposals_fit_the_space_and_differ(options: dict[str, Any]) -> None:
    play = play_of(60, **options)
    for proposal in play.proposals:
        assert play.mirror.space.check(proposal.params) == proposal.params
    assert len({tuple(trial.units) for trial in play.mirror.trials}) == len(play.mirror.trials)


def test_it_begins_with_our_own_random_draws() -> None:
    mirror, same = Mirror(study(strategy=STRATEGY)), Mirror(study())
    for number in range(10):
        proposal = build_sampler(mirror.spec).propose(mirror, number)
        assert proposal == build_sampler(same.spec).propose(same, number)
        for other in (mirror, same):
            other.add(number, number + 1, proposal.params)
    assert build_sampler(mirror.spec).propose(mirror, 10) != build_sampler(same.spec).propose(same, 10)


def test_a_restart_and_a_second_ask_change_nothing() -> None:
    play = play_of(80)
    number = len(play.mirror.trials)
    straight = play.sampler.propose(play.mirror, number)
    assert play.sampler.propose(play.mirror, number) == straight
    fresh = rebuilt(play.mirror)
    assert build_sampler(fresh.spec).propose(fresh, number) == straight


@settings(max_examples=60)
@given(st.data(), st.sampled_from(["minimize", "maximize"]))
def test_its_state_depends_on_the_mirror_alone(data: st.DataObject, direction: str) -> None:
    mirror = Mirror(study(metric={"name": "m", "direction": direction}))
    for _ in range(4):
        grow(mirror, data, max_steps=40)
        fresh = rebuilt(mirror)
        mine, other = mirror.index(Evolution, OPTIONS), fresh.index(Evolution, OPTIONS)
        assert mine.ask(1) == other.ask(1)
        assert mine.best(5) == other.best(5)
        assert mine.num_members == other.num_members


def test_a_result_that_changes_late_is_told_again() -> None:
    mirror = Mirror(study(space={name: {"type": "float", "low": 0, "high": 1} for name in "abc"}))
    sampler = build_sampler(study(strategy=STRATEGY | {"popsize": 4, "n_startup_trials": 2}))
    # More generations than are remembered one by one.
    for number in range(2 + 4 * 150):
        mirror.add(number, number + 1, sampler.propose(mirror, number).params)
        finish(mirror, number, sum((float(x) - 0.3) ** 2 for x in mirror.trials[number].params.values()))
    for number in (601, 330, 4, 0):
        finish(mirror, number, -1.0)
        fresh = rebuilt(mirror)
        assert sampler.propose(mirror, 602) == sampler.propose(fresh, 602)


def test_a_generation_waits_for_its_last_result_but_not_for_one_that_was_lost() -> None:
    mirror = Mirror(study(space={name: {"type": "float", "low": 0, "high": 1} for name in "ab"}))
    for number in range(7):
        mirror.add(number, number + 1, mirror.space.params_at([number / 7, 0.5]))
        mirror.start(number)
    for number in (0, 1, 2, 3, 4):
        finish(mirror, number, float(number))
    evolution = mirror.index(Evolution, OPTIONS)
    waiting = evolution.ask(1)
    mirror.end(5, TrialState.FAILED, StopReason.LOST)
    assert mirror.index(Evolution, OPTIONS).ask(1) == waiting
    # The seventh trial takes the place of the lost one, and a paused trial has a result.
    mirror.measure(6, 1, 9.0)
    mirror.pause(6)
    told = mirror.index(Evolution, OPTIONS).ask(1)
    assert told != waiting
    # Promoted, it keeps its result until it has a further one.
    mirror.start(6, first_epoch=2, promoted_epoch=1)
    mirror.measure(6, 2, 0.1)
    assert mirror.index(Evolution, OPTIONS).ask(1) == told
    mirror.end(6, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    assert mirror.index(Evolution, OPTIONS).ask(1) != told


def test_a_persons_trials_are_in_no_generation_but_the_search_may_begin_at_one() -> None:
    space = {name: {"type": "float", "low": 0, "high": 1} for name in "ab"}
    mirror = Mirror(study(space=space, strategy=STRATEGY | {"n_startup_trials": 0, "sigma0": 0.01}))
    mirror.add(0, 1, {"a": 0.9, "b": 0.1}, is_proposed=False)
    finish(mirror, 0, 0.5)
    params = build_sampler(mirror.spec).propose(mirror, 1).params
    assert params == {"a": pytest.approx(0.9, abs=0.05), "b": pytest.approx(0.1, abs=0.05)}


def test_a_search_that_has_converged_begins_anew() -> None:
    space = {"n": {"type": "int", "low": 1, "high": 1000}, "c": {"type": "categorical", "choices": ["a", "b"]}}
    mirror = Mirror(study(space=space, strategy=STRATEGY | {"popsize": 4}))
    sampler = build_sampler(mirror.spec)
    for number in range(600):
        mirror.add(number, number + 1, sampler.propose(mirror, number).params)
        finish(mirror, number, abs(float(mirror.trials[number].params["n"]) - 500.0))
    late = [float(trial.params["n"]) for trial in mirror.trials[100:]]
    assert min(late) < 400
    assert max(late) > 600


def test_a_space_without_any_order_works() -> None:
    space = {name: {"type": "categorical", "choices": list("abcdef")} for name in ("x", "y", "z")}
    mirror = Mirror(study(space=space, strategy=STRATEGY))
    sampler = build_sampler(mirror.spec)
    for number in range(100):
        mirror.add(number, number + 1, sampler.propose(mirror, number).params)
        finish(mirror, number, float(list(mirror.trials[number].params.values()).count("c")))
    late = [list(trial.params.values()) for trial in mirror.trials[60:]]
    early = [list(trial.params.values()) for trial in mirror.trials[:10]]
    assert sum(values.count("c") for values in late) / 40 < sum(values.count("c") for values in early) / 10


def test_it_finds_better_trials_than_chance() -> None:
    def best(kind: str, seed: int) -> float:
        play = Play(study(strategy={"kind": kind}, seed=seed)).until(60)
        return min(loss(trial.params, 16) for trial in play.mirror.trials)

    assert median(best("cma_es", seed) for seed in range(5)) < median(best("random", seed) for seed in range(5))
