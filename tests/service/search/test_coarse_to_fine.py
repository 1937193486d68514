"""Coarse to fine: its rounds, what they are made of, and that they lead somewhere."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean, median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import StudySpec
from caviar.contract.views import RoundView, WindowView
from service.search.carrying import natural_window
from service.search.mirror import Mirror
from service.search.ranking import Ranking
from service.search.registry import build_sampler
from service.search.sampler import Proposal, SpaceExhausted
from service.search.windows import whole_space
from tests.service.search.studies import SPACE, Play, loss, rebuilt, study


def narrowing(seed: int = 7, **options: Any) -> StudySpec:
    return study(strategy={"kind": "coarse_to_fine"} | options, pruner={"kind": "asha"}, seed=seed)


def play_of(num_trials: int, seed: int = 7, **options: Any) -> Play:
    return Play(narrowing(seed, **options)).until(num_trials)


def with_results(spec: StudySpec, units: list[list[float]]) -> Play:
    """A study whose trials lie at given points and are complete, the first the best; round 0 holds them all."""
    play = Play(spec)
    mirror = play.mirror
    opened = play.sampler.propose(mirror, 0).opened
    assert opened is not None
    mirror.open_round(opened)
    for number, point in enumerate(units):
        mirror.add(number, number + 1, mirror.space.params_at(point), round=0)
        mirror.start(number)
        mirror.measure(number, 1, float(number))
        mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    return play


def test_rounds_follow_each_other_without_gaps() -> None:
    play = play_of(60)
    rounds = play.mirror.rounds
    assert [opened.number for opened in rounds] == list(range(len(rounds)))
    assert rounds[0].first_trial == 0
    assert rounds[0].elite == []
    for opened, following in pairwise(rounds[1:]):
        assert following.first_trial == opened.first_trial + 8
    for trial, proposal in zip(play.mirror.trials, play.proposals, strict=True):
        assert proposal.round == max(opened.number for opened in rounds if opened.first_trial <= trial.number)
    opening = [proposal.opened for proposal in play.proposals if proposal.opened is not None]
    assert opening == rounds


def test_a_later_round_is_made_of_the_best_trials_at_that_time() -> None:
    spec = narrowing(startup_trials=10, elite_fraction=0.5, min_elite=3)
    play = with_results(spec, [[(number + 0.5) / 10] * len(SPACE) for number in range(10)])
    opened = play.sampler.propose(play.mirror, 10).opened
    assert opened is not None
    assert opened.elite == [0, 1, 2, 3, 4]
    assert opened.first_trial == 10
    assert set(opened.windows) == set(SPACE)


def test_round_0_goes_on_until_there_are_enough_results() -> None:
    play = Play(narrowing(startup_trials=4))
    for _ in range(20):
        play.propose()
    assert len(play.mirror.rounds) == 1
    for number in range(12):
        assert play.sampler.propose(play.mirror, 20).opened is None
        for epoch in (1, 2):
            play.mirror.measure(number, epoch, float(number))
    play.mirror.pause(11)
    play.propose()
    assert [opened.first_trial for opened in play.mirror.rounds] == [0, 20]
    assert play.mirror.rounds[1].elite == list(range(12)), "running and paused trials take part"


def test_failures_count_as_results_but_are_never_elite() -> None:
    play = Play(narrowing(startup_trials=12, elite_fraction=1.0, min_elite=2))
    for _ in range(12):
        play.propose()
    for number in range(12):
        play.mirror.measure(number, 2, float(number))
        reason = {0: StopReason.DIVERGED, 1: StopReason.LOST, 2: StopReason.OUT_OF_MEMORY}.get(number)
        state = TrialState.FAILED if reason else TrialState.COMPLETE
        play.mirror.end(number, state, reason or StopReason.MAX_EPOCHS)
    play.propose()
    assert play.mirror.rounds[-1].elite == list(range(3, 12))
    assert play.mirror.index(Ranking, (2, 8)).num_results == 11, "the lost one does not count"


@pytest.mark.parametrize("stop_at", [0, 5, 12, 13, 19, 20, 41])
def test_a_restart_in_between_changes_nothing(stop_at: int) -> None:
    play = play_of(stop_at)
    straight = play.sampler.propose(play.mirror, len(play.mirror.trials))
    again = Play(play.mirror.spec)
    restarted = again.sampler.propose(rebuilt(play.mirror), len(play.mirror.trials))
    assert restarted == straight


class Restarted(Play):
    """A study of which every proposal is also made by a service that has just loaded its rows."""

    def propose(self) -> int:
        fresh, number = rebuilt(self.mirror), len(self.mirror.trials)
        proposed = build_sampler(fresh.spec).propose(fresh, number)
        assert super().propose() == number
        assert self.proposals[-1] == proposed
        return number


def test_every_stored_state_leads_to_the_same_configurations_again() -> None:
    play = Restarted(narrowing()).until(60)
    assert len(play.mirror.rounds) > 4
    assert play.mirror.num_by_state[TrialState.PAUSED] > 20
    assert all(opened.model is not None for opened in play.mirror.rounds[1:])


def test_proposals_follow_the_results_since_the_round_began() -> None:
    play = play_of(23)
    number = len(play.mirror.trials)
    assert number > play.mirror.rounds[-1].first_trial
    before = play.sampler.propose(play.mirror, number)
    short = [trial for trial in play.mirror.trials if max(trial.values, default=0) < 8]
    play.mirror.measure(short[0].number, 8, -9.0)
    after = play.sampler.propose(play.mirror, number)
    assert after.params != before.params
    assert after.round == before.round


def test_without_the_model_a_draw_depends_on_its_round_alone() -> None:
    play = play_of(50, num_candidates=1)
    assert all(opened.model is None for opened in play.mirror.rounds)
    sampler = Play(play.mirror.spec).sampler
    fresh = Mirror(play.mirror.spec)
    for opened in play.mirror.rounds:
        fresh.open_round(RoundView.model_validate_json(opened.model_dump_json()))
    for trial in play.mirror.trials:
        following = [opened.first_trial for opened in fresh.rounds if opened.first_trial > trial.number]
        if following:
            # No value is told: the stored round and the elite's parameters are all that a proposal needs.
            assert sampler.propose(fresh, trial.number) == Proposal(trial.params, trial.round)
        fresh.add(trial.number, trial.trial_id, trial.params, round=trial.round)


def test_proposing_leaves_the_mirror_as_it_is() -> None:
    play = play_of(12)
    before = (len(play.mirror.rounds), len(play.mirror.trials))
    first = play.sampler.propose(play.mirror, before[1])
    assert play.sampler.propose(play.mirror, before[1]) == first
    assert (len(play.mirror.rounds), len(play.mirror.trials)) == before


@settings(max_examples=15)
@given(st.integers(0, 2**53 - 1))
def test_every_proposal_fits_the_space_and_is_new(seed: int) -> None:
    play = play_of(40, seed=seed)
    seen = set()
    for proposal in play.proposals:
        assert play.mirror.space.check(proposal.params) == proposal.params
        seen.add(tuple(sorted((name, repr(value)) for name, value in proposal.params.items())))
    assert len(seen) == len(play.proposals)


@pytest.mark.parametrize("num_candidates", [1, 64])
def test_a_small_space_is_gone_through_and_then_exhausted(num_candidates: int) -> None:
    space = {"n": {"type": "int", "low": 1, "high": 20}}
    play = Play(study(space=space, strategy={"kind": "coarse_to_fine", "num_candidates": num_candidates}))
    for _ in range(20):
        number = play.propose()
        play.mirror.measure(number, 1, float(number))
        play.mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    assert {trial.params["n"] for trial in play.mirror.trials} == set(range(1, 21))
    with pytest.raises(SpaceExhausted, match="every configuration of the space"):
        play.propose()


def test_it_narrows_where_it_matters_and_stays_wide_where_it_does_not() -> None:
    play = play_of(150)
    windows = play.mirror.rounds[-1].windows
    decisive = windows["beta_1"]
    assert decisive.unit_high - decisive.unit_low < 0.7
    best = min((trial for trial in play.mirror.trials if trial.value is not None), key=lambda trial: trial.value or 0)
    assert 0.985 < float(best.params["beta_1"]) < 0.995
    assert decisive.reason.startswith(("narrowed", "kept at", "moved", "widened"))
    idle = windows["keep"]
    assert idle.unit_high - idle.unit_low > 0.8
    assert windows["optimizer"].weights is not None
    assert windows["optimizer"].weights[2] > 0.6
    assert "leaning to 'adam'" in windows["optimizer"].reason


def test_windows_are_told_in_natural_units_too() -> None:
    play = play_of(100)
    for opened in play.mirror.rounds[1:]:
        for name, window in opened.windows.items():
            parameter = play.mirror.space[name]
            if window.weights is None:
                assert window.low == parameter.from_unit(window.unit_low)
                assert window.high == parameter.from_unit(window.unit_high)
                assert 0 <= window.unit_low <= window.unit_high <= 1
            else:
                assert sum(window.weights) == pytest.approx(1)
                assert min(window.weights) > 0
                assert window.low is window.high is None


# Draws of wide steps gather at the edges of the range, and a window that ends there holds more of them.
@pytest.mark.parametrize(("num_candidates", "spread"), [(1, 0.8), (64, 2.5)])
def test_eight_of_ten_draws_fall_into_the_window(num_candidates: int, spread: float) -> None:
    inside, off = [], []
    for seed in range(4):
        options = {"num_candidates": num_candidates, "startup_trials": 1000, "global_fraction": 0.0, "spread": spread}
        mirror = play_of(40, seed=seed, **options).mirror
        number = len(mirror.trials)
        sampler = build_sampler(narrowing(seed, **options | {"startup_trials": 40, "round_size": 1000}))
        opened = sampler.propose(mirror, number).opened
        assert opened is not None
        mirror.open_round(opened)
        drawn = [sampler.propose(mirror, number + k).params for k in range(120)]
        for name in ("learning_rate", "beta_1", "keep"):
            window = opened.windows[name]
            assert window.low is not None
            assert window.high is not None
            inside.append(mean(window.low <= float(params[name]) <= window.high for params in drawn))
        for name in ("optimizer", "size"):
            weights, parameter = opened.windows[name].weights, mirror.space[name]
            assert weights is not None
            for choice, weight in zip(parameter.choices, weights, strict=True):  # type: ignore[union-attr]
                off.append(abs(mean(params[name] == choice for params in drawn) - weight))
    assert mean(inside) == pytest.approx(0.8, abs=0.07)
    assert mean(off) < 0.08


def test_every_choice_keeps_a_chance() -> None:
    for seed in range(3):
        for opened in play_of(100, seed=seed).mirror.rounds:
            for name in ("optimizer", "size", "is_nesterov"):
                weights = opened.windows[name].weights
                assert weights is not None
                assert sum(weights) == pytest.approx(1)
                assert min(weights) >= 0.05 / len(weights) - 1e-12


def test_pressing_against_an_end_is_said() -> None:
    play = with_results(narrowing(), [[1.0 - 0.005 * number, *[0.5] * (len(SPACE) - 1)] for number in range(12)])
    play.propose()
    reason = play.mirror.rounds[1].windows["learning_rate"].reason
    assert "press against the upper end of learning_rate (1): consider a higher limit" in reason
    assert "press" not in play.mirror.rounds[1].windows["beta_1"].reason


def test_of_two_values_none_is_pressed_against() -> None:
    space = {"n": {"type": "int", "low": 1, "high": 2}, "m": {"type": "int", "low": 1, "high": 8}}
    play = with_results(study(space=space, strategy={"kind": "coarse_to_fine"}), [[0.9, 0.95]] * 12)
    play.propose()
    assert "press" not in play.mirror.rounds[1].windows["n"].reason
    assert "press" in play.mirror.rounds[1].windows["m"].reason


def test_a_window_can_grow_and_move_again() -> None:
    # Without the model a window follows the elite alone.
    spec = narrowing(round_size=1, elite_fraction=0.1, num_candidates=1)
    width = len(SPACE)
    play = with_results(spec, [[0.5 + 0.003 * number] * width for number in range(12)])
    play.propose()
    first = play.mirror.rounds[1].windows["learning_rate"]
    assert first.reason.startswith("narrowed to")
    for offset in range(12):
        number = len(play.mirror.trials)
        play.mirror.add(number, number + 1, play.mirror.space.params_at([0.1 + 0.07 * offset] * width), round=1)
        play.mirror.start(number)
        play.mirror.measure(number, 1, -1.0 - offset)
        play.mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    play.propose()
    second = play.mirror.rounds[2].windows["learning_rate"]
    assert second.unit_high - second.unit_low > first.unit_high - first.unit_low
    assert second.reason.startswith(("widened again", "kept wide"))


def test_a_window_that_moves_says_where_to() -> None:
    reasons = [
        opened.windows["beta_1"].reason.split(":")[0].split(" ")[0]
        for seed in range(4)
        for opened in play_of(120, seed=seed).mirror.rounds[1:]
    ]
    assert set(reasons) == {"kept", "narrowed", "widened", "moved"}


def test_a_parameter_that_applies_to_none_of_the_elite_stays_wide() -> None:
    units = [0.5 if name != "optimizer" else 0.9 for name in SPACE]
    play = with_results(narrowing(), [units] * 12)
    play.propose()
    window = play.mirror.rounds[1].windows["momentum"]
    assert (window.low, window.high) == (0.5, 0.99)
    assert "applies to none of the best trials" in window.reason


@pytest.mark.parametrize("num_trials", [0, 30])
def test_the_windows_of_a_person_are_kept_to(num_trials: int) -> None:
    play = play_of(num_trials, global_fraction=1.0)
    number, first = len(play.mirror.rounds), len(play.mirror.trials)
    hand_made = {
        "beta_1": natural_window(play.mirror.space["beta_1"], 0.99, 0.999, "set by hand"),  # type: ignore[arg-type]
        "optimizer": WindowView(weights=[0.0, 0.0, 1.0], reason="set by hand"),
    }
    windows = whole_space(play.mirror.space) | hand_made
    play.mirror.open_round(RoundView(number=number, first_trial=first, origin="manual", windows=windows))
    found = [play.sampler.propose(play.mirror, first + k) for k in range(8)]
    assert {proposal.round for proposal in found} == {number}
    assert {proposal.params["optimizer"] for proposal in found} == {"adam"}
    assert all(float(proposal.params["beta_1"]) >= 0.99 for proposal in found)
    assert len({repr(proposal.params) for proposal in found}) == 8


def test_after_the_round_of_a_person_the_strategy_goes_on() -> None:
    play = play_of(25)
    number, first = len(play.mirror.rounds), len(play.mirror.trials)
    windows = whole_space(play.mirror.space)
    play.mirror.open_round(RoundView(number=number, first_trial=first, origin="manual", windows=windows))
    play.until(first + 10)
    after = play.mirror.rounds[number + 1]
    assert (after.origin, after.first_trial) == ("sampler", first + 8)
    assert after.elite
    assert after.model is not None


def test_it_finds_much_better_trials_than_chance() -> None:
    def gap(kind: str, seed: int) -> float:
        play = Play(study(strategy={"kind": kind}, pruner={"kind": "asha"}, seed=seed)).until(120)
        return min(loss(trial.params, 16) for trial in play.mirror.trials) - 2.0 / 16

    ours = median(gap("coarse_to_fine", seed) for seed in range(7))
    assert ours < 0.5 * median(gap("random", seed) for seed in range(7))
