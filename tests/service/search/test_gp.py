"""Gaussian process search, and the surrogate that it asks."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caviar.contract.space import Params
from caviar.contract.states import StopReason, TrialState
from service.search.mirror import Mirror
from service.search.registry import build_sampler
from service.search.sampler import SpaceExhausted
from service.search.sobol import sobol
from service.search.surrogate import Surrogate
from tests.service.search.histories import grow
from tests.service.search.studies import Play, loss, rebuilt, study

RUNGS = (2, 8)
PLANE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.0, "high": 1.0},
}


def play_of(num_trials: int, seed: int = 7, **options: Any) -> Play:
    return Play(study(strategy={"kind": "gp"} | options, pruner={"kind": "asha", "promote": False}, seed=seed)).until(
        num_trials
    )


def finish(mirror: Mirror, params: Params, value: float, epoch: int = 16) -> int:
    number = len(mirror.trials)
    mirror.add(number, number + 1, params)
    mirror.start(number)
    mirror.measure(number, epoch, value)
    mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    return number


def bowl(params: Params) -> float:
    # Its least value lies on an edge.
    return (float(params["x"]) - 1.0) ** 2 + 2 * (float(params["y"]) - 0.3) ** 2


def bowl_study(num_trials: int, **strategy: Any) -> Mirror:
    mirror = Mirror(study(space=PLANE, strategy={"kind": "gp"} | strategy))
    sampler = build_sampler(mirror.spec)
    for number in range(num_trials):
        params = sampler.propose(mirror, number).params
        finish(mirror, params, bowl(params))
    return mirror


def test_it_begins_evenly() -> None:
    mirror = Mirror(study(strategy={"kind": "gp"}))
    for number in range(3):
        proposal = build_sampler(mirror.spec).propose(mirror, number)
        assert proposal.params == mirror.space.params_at(sobol(7, number, len(mirror.space)))
        mirror.add(number, number + 1, proposal.params)


def test_proposals_fit_the_space_and_differ() -> None:
    play = play_of(45)
    for proposal in play.proposals:
        assert play.mirror.space.check(proposal.params) == proposal.params
    assert len({tuple(trial.units) for trial in play.mirror.trials}) == len(play.mirror.trials)


def test_a_restart_and_a_second_ask_change_nothing() -> None:
    play = play_of(30)
    number = len(play.mirror.trials)
    straight = play.sampler.propose(play.mirror, number)
    assert play.sampler.propose(play.mirror, number) == straight
    fresh = rebuilt(play.mirror)
    assert build_sampler(fresh.spec).propose(fresh, number) == straight
    assert play.sampler.propose(play.mirror, number + 1) != straight


def test_another_seed_is_another_search() -> None:
    one, other = ([proposal.params for proposal in play_of(20, seed=seed).proposals] for seed in (1, 2))
    assert not [params for params in one if params in other]


def test_pending_trials_push_parallel_proposals_apart() -> None:
    mirror = bowl_study(15)
    sampler = build_sampler(mirror.spec)
    asked: list[tuple[float, float]] = []
    for number in range(15, 21):
        params = sampler.propose(mirror, number).params
        mirror.add(number, number + 1, params)
        asked.append((float(params["x"]), float(params["y"])))
    apart = [math.dist(a, b) for i, a in enumerate(asked) for b in asked[:i]]
    alone = [sampler.propose(bowl_study(15), number).params for number in range(15, 21)]
    together = [
        math.dist((a["x"], a["y"]), (b["x"], b["y"]))  # type: ignore[arg-type]  # they are floats
        for i, a in enumerate(alone)
        for b in alone[:i]
    ]
    assert median(apart) > 3 * median(together)


def test_it_finds_an_optimum_on_an_edge() -> None:
    best = min(bowl(trial.params) for trial in bowl_study(25).trials)
    chance = Mirror(study(space=PLANE))
    sampler = build_sampler(chance.spec)
    draws = [bowl(sampler.propose(chance, number).params) for number in range(500)]
    assert best < 1e-4
    assert best < min(draws)


def test_it_finds_an_optimum_that_only_one_choice_has() -> None:
    space = {
        "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
        "x": PLANE["x"],
        "depth": {"type": "int", "low": 1, "high": 50, "scale": "log", "when": {"kind": ["b"]}},
    }
    mirror = Mirror(study(space=space, strategy={"kind": "gp"}))
    sampler = build_sampler(mirror.spec)
    for number in range(40):
        params = sampler.propose(mirror, number).params
        gain = 1 - abs(math.log(float(params["depth"]) / 20)) if params["kind"] == "b" else 0.0
        finish(mirror, params, (float(params["x"]) - 0.2) ** 2 - gain)
    best = min(mirror.trials, key=lambda trial: trial.value or 0.0)
    assert best.params["kind"] == "b"
    assert 18 <= float(best.params["depth"]) <= 22
    assert abs(float(best.params["x"]) - 0.2) < 0.05


def test_a_higher_value_may_be_better() -> None:
    metric = {"name": "val_accuracy", "direction": "maximize"}
    mirror = Mirror(study(space=PLANE, strategy={"kind": "gp"}, metric=metric))
    sampler = build_sampler(mirror.spec)
    for number in range(25):
        params = sampler.propose(mirror, number).params
        finish(mirror, params, -bowl(params))
    assert max(trial.value for trial in mirror.trials if trial.value is not None) > -1e-3


def test_it_finds_better_trials_than_chance_in_a_mixed_space() -> None:
    def best(kind: str, seed: int) -> float:
        play = Play(study(strategy={"kind": kind}, seed=seed)).until(50)
        return min(loss(trial.params, 16) for trial in play.mirror.trials)

    assert max(best("gp", seed) for seed in range(3)) < min(best("random", seed) for seed in range(3))


def test_failures_are_avoided() -> None:
    mirror = Mirror(study(space=PLANE, strategy={"kind": "gp"}))
    sampler = build_sampler(mirror.spec)
    for number in range(30):
        params = sampler.propose(mirror, number).params
        if float(params["x"]) > 0.5:
            mirror.add(number, number + 1, params)
            mirror.start(number)
            mirror.end(number, TrialState.FAILED, StopReason.DIVERGED)
        else:
            finish(mirror, params, bowl(params))
    diverged = [trial.state is TrialState.FAILED for trial in mirror.trials]
    assert sum(diverged[10:]) < 8
    best = min((trial for trial in mirror.trials if trial.value is not None), key=lambda trial: trial.value or 0.0)
    assert float(best.params["x"]) > 0.45


def test_studies_of_failures_alone_go_on() -> None:
    mirror = Mirror(study(space=PLANE, strategy={"kind": "gp"}))
    for number in range(14):
        params = build_sampler(mirror.spec).propose(mirror, number).params
        mirror.add(number, number + 1, params)
        mirror.start(number)
        mirror.end(number, TrialState.FAILED, StopReason.OUT_OF_MEMORY)
    assert mirror.index(Surrogate, RUNGS, 150).num_results == 14


@pytest.mark.parametrize("values", [(1e308, -1e308), (1e308, 1.7e308), (5e-324, 1e-323)])
def test_the_greatest_and_the_least_numbers_do_no_harm(values: tuple[float, float]) -> None:
    mirror = Mirror(study(space=PLANE, strategy={"kind": "gp", "n_startup_trials": 3}))
    for number in range(8):
        finish(mirror, build_sampler(mirror.spec).propose(mirror, number).params, values[number % 2])
    forecast = mirror.index(Surrogate, RUNGS, 150).forecast()
    assert all(np.isfinite(found).all() for found in forecast.predict(mirror.index(Surrogate, RUNGS, 150).known_rows))


@pytest.mark.parametrize("num_even", [3, 18])
def test_a_small_space_is_gone_through_and_then_exhausted(num_even: int) -> None:
    space = {"n": {"type": "int", "low": 1, "high": 6}, "c": {"type": "categorical", "choices": ["a", "b", "c"]}}
    mirror = Mirror(study(space=space, strategy={"kind": "gp", "n_startup_trials": num_even}))
    sampler = build_sampler(mirror.spec)
    for number in range(18):
        params = sampler.propose(mirror, number).params
        finish(mirror, params, float(params["n"]) + (params["c"] == "b"))
    assert len({tuple(trial.units) for trial in mirror.trials}) == 18
    soon = [trial.number for trial in mirror.trials if (trial.value or 0.0) <= 2]
    assert len(soon) == 5
    assert max(soon) < 10 or num_even == 18
    with pytest.raises(SpaceExhausted):
        sampler.propose(mirror, 18)


def test_a_long_history_is_capped_to_the_best_and_the_latest() -> None:
    mirror = Mirror(study(space=PLANE))
    for number in range(60):
        finish(mirror, {"x": number / 60, "y": 0.5}, abs(number - 10.0))
    surrogate = mirror.index(Surrogate, RUNGS, 20)
    # Of equal losses, 5 and 15, the earlier one is kept.
    assert sorted(surrogate.best(surrogate.forecast(), 100)[0]) == [*range(5, 15), *range(50, 60)]


def test_a_short_trial_counts_as_what_longer_ones_became() -> None:
    mirror = Mirror(study(space=PLANE))
    for number in range(12):
        mirror.add(number, number + 1, {"x": number / 12, "y": 0.5})
        mirror.start(number)
        mirror.measure(number, 2, 5.0 + number)
        if number % 2:
            mirror.measure(number, 8, 3.0 + number)
            mirror.measure(number, 16, 2.0 + number)
            mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
        else:
            mirror.pause(number)
    surrogate = mirror.index(Surrogate, RUNGS, 150)
    numbers, _ = surrogate.best(surrogate.forecast(), 12)
    assert numbers == list(range(12)), "halves that were paused at epoch 2 stand between those that were not"
    mean, deviation = surrogate.forecast().predict(surrogate.columns.rows(np.array([[0.0, 0.5], [0.99, 0.5]])))
    assert mean[0] < -1 < 1 < mean[1]
    assert (deviation < 0.5).all()


def test_a_trial_that_ended_early_counts_and_one_that_runs_is_pending() -> None:
    mirror = Mirror(study(space=PLANE))
    surrogate = mirror.index(Surrogate, RUNGS, 150)
    with pytest.raises(ValueError, match="no trial has a result"):
        surrogate.forecast()
    for number, (state, reason) in enumerate(
        [(TrialState.PRUNED, StopReason.PRUNED), (TrialState.FAILED, StopReason.LOST), (TrialState.RUNNING, None)]
    ):
        mirror.add(number, number + 1, {"x": number / 3, "y": 0.5})
        mirror.start(number)
        mirror.measure(number, 1, 4.0)
        if state.is_finished:
            mirror.end(number, state, reason)
    surrogate = mirror.index(Surrogate, RUNGS, 150)
    assert surrogate.num_results == 1
    assert surrogate.best(surrogate.forecast(), 5)[0] == [0]
    rows = surrogate.columns.rows(np.array([[1 / 3, 0.5], [2 / 3, 0.5]]))
    lost, running = surrogate.forecast().predict(rows)[1]
    assert running < 0.5 * lost


@settings(max_examples=30, deadline=None)
@given(st.data(), st.sampled_from(["minimize", "maximize"]))
def test_whatever_happened_a_restart_predicts_the_same(data: st.DataObject, direction: str) -> None:
    mirror = Mirror(study(metric={"name": "m", "direction": direction}, strategy={"kind": "gp", "n_startup_trials": 2}))
    sampler = build_sampler(mirror.spec)
    for _ in range(2):
        grow(mirror, data, max_steps=30)
        fresh = rebuilt(mirror)
        number = len(mirror.trials)
        proposed = sampler.propose(mirror, number)
        assert build_sampler(fresh.spec).propose(fresh, number) == proposed
        assert mirror.space.check(proposed.params) == proposed.params
