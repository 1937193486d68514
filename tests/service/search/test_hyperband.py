"""Hyperband: which trial goes to which bracket, and that each bracket halves by itself."""

from __future__ import annotations

from collections import Counter

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import Decision, TrialState
from caviar.contract.study import StudySpec
from service.search.mirror import Mirror
from service.search.pruner import Verdict
from service.search.pruners.hyperband import HyperbandPruner
from service.search.registry import build_pruner
from service.search.rungs import Ladder, RungOptions, bracket_of
from tests.service.search.histories import grow
from tests.service.search.studies import Play, rebuilt, study

HYPERBAND = HyperbandPruner(RungOptions())


def hyperband_study(seed: int = 7, **options: object) -> StudySpec:
    return study(pruner={"kind": "hyperband"} | options, seed=seed)


def bracket(ladders: list[Ladder], number: int) -> int:
    [ladder] = [ladder for ladder in ladders if ladder.holds(number)]
    return ladder.bracket


def test_each_bracket_begins_at_a_later_rung_and_the_last_never_halves() -> None:
    ladders = HYPERBAND.ladders(hyperband_study())
    assert [ladder.rungs for ladder in ladders] == [(2, 8), (8,), ()]


@pytest.mark.parametrize("eta", [2, 3, 4])
@pytest.mark.parametrize("num_brackets", [1, 2, 3, 5])
def test_trials_are_shared_among_brackets_as_optuna_does(num_brackets: int, eta: int) -> None:
    theirs = optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=eta ** (num_brackets - 1), reduction_factor=eta
    )
    reference = optuna.create_study(pruner=theirs)
    asked = reference.ask()
    asked.report(0.0, 1)
    asked.should_prune()
    budget = {"max_trials": 10, "max_epochs": eta ** (num_brackets - 1)}
    ours = HyperbandPruner(RungOptions(min_resource=1, reduction_factor=eta)).ladders(study(budget=budget))
    assert {ladder.shares for ladder in ours} == {tuple(theirs._trial_allocation_budgets)}
    assert len(ours) == num_brackets


def test_the_seed_and_the_number_decide_on_the_bracket() -> None:
    ladders = list(HYPERBAND.ladders(hyperband_study()))
    shares = ladders[0].shares
    counts = Counter(bracket(ladders, number) for number in range(3000))
    for index, share in enumerate(shares):
        assert counts[index] / 3000 == pytest.approx(share / sum(shares), abs=0.03)
    brackets = [bracket(ladders, number) for number in range(50)]
    assert brackets == [bracket_of(7, shares, number) for number in range(50)]
    other = list(HYPERBAND.ladders(hyperband_study(seed=8)))
    assert brackets != [bracket(other, number) for number in range(50)]


@given(st.data(), st.booleans())
def test_a_bracket_decides_as_if_it_were_alone(data: st.DataObject, is_last_call: bool) -> None:
    mirror = Mirror(hyperband_study(min_resource=1, reduction_factor=2))
    grow(mirror, data, max_steps=60)
    pruner = HyperbandPruner(RungOptions(min_resource=1, reduction_factor=2))
    ladders = list(pruner.ladders(mirror.spec))
    found = []
    for ladder in ladders[:-1]:
        options = {"kind": "asha", "min_resource": ladder.rungs[0], "reduction_factor": 2}
        alone = Mirror(study(pruner=options))
        numbers = [trial.number for trial in mirror.trials if ladder.holds(trial.number)]
        for number in numbers:
            _copy(mirror, number, alone)
        promotion = build_pruner(alone.spec).promote(alone, is_last_call=is_last_call)
        if promotion is not None:
            value = mirror.trials[numbers[promotion.number]].values
            best = min(value[epoch] for epoch in value if epoch <= _reached(value, promotion.epoch))
            found.append((-promotion.epoch, best, numbers[promotion.number]))
    promotion = pruner.promote(mirror, is_last_call=is_last_call)
    assert (promotion and promotion.number) == (min(found)[2] if found else None)
    assert promotion == pruner.promote(rebuilt(mirror), is_last_call=is_last_call)


def _reached(values: dict[int, float], rung: int) -> int:
    return min(epoch for epoch in values if epoch >= rung)


def _copy(mirror: Mirror, number: int, alone: Mirror) -> None:
    trial, place = mirror.trials[number], len(alone.trials)
    alone.add(place, place + 1, trial.params)
    alone.start(place, promoted_epoch=trial.promoted_epoch)
    for epoch, value in sorted(trial.values.items()):
        alone.measure(place, epoch, value)
    if trial.state is TrialState.PAUSED:
        alone.pause(place)


def test_trials_pause_at_the_rungs_of_their_bracket_alone() -> None:
    spec = hyperband_study()
    ladders = list(HYPERBAND.ladders(spec))
    play = Play(spec).until(80)
    paused = [trial for trial in play.mirror.trials if trial.state is TrialState.PAUSED]
    assert {(bracket(ladders, trial.number), len(trial.values)) for trial in paused} == {(0, 2), (0, 8), (1, 8)}


def test_the_last_bracket_never_pauses() -> None:
    spec = hyperband_study()
    ladders = list(HYPERBAND.ladders(spec))
    mirror = Mirror(spec)
    for number in range(60):
        mirror.add(number, number + 1, mirror.space.params_at([0.5] * len(mirror.space)))
        mirror.start(number)
    numbers = [number for number in range(60) if bracket(ladders, number) == 2]
    assert numbers
    for number in numbers:
        assert HYPERBAND.pause_epochs(spec, number, 0) == []
        values = dict.fromkeys(range(1, 17), 9.0 + number)
        for epoch in values:
            so_far = {other: value for other, value in values.items() if other <= epoch}
            assert HYPERBAND.judge(mirror, number, epoch, so_far) == Verdict(Decision.CONTINUE)


def test_by_stopping_each_bracket_stops_at_its_own_rungs() -> None:
    spec = hyperband_study(promote=False)
    ladders = list(HYPERBAND.ladders(spec))
    play = Play(spec).until(80)
    pruned = [trial for trial in play.mirror.trials if trial.state is TrialState.PRUNED]
    assert {(bracket(ladders, trial.number), len(trial.values)) for trial in pruned} == {(0, 2), (0, 8), (1, 8)}
    assert not any(trial.state is TrialState.PAUSED for trial in play.mirror.trials)
