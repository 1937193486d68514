"""ASHA by stopping, against the rule spelled out; by promotion it is tested in test_promotion.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import Decision, TrialState
from caviar.contract.study import StudySpec
from service.search.mirror import Mirror
from service.search.registry import build_pruner
from service.search.rungs import RungOptions
from tests.service.search.histories import grow
from tests.service.search.studies import Play, rebuilt, study


def asha_study(*, direction: str = "minimize", **options: Any) -> StudySpec:
    pruner = {"kind": "asha", "promote": False} | options
    return study(metric={"name": "m", "direction": direction}, pruner=pruner)


def goes_on(mirror: Mirror, number: int, values: Mapping[int, float], *, eta: int, rung: int) -> bool:
    """Whether the trial goes on, from all curves at once."""
    pick = min if mirror.metric.direction == "minimize" else max
    at_rung = [pick(values.values())]
    for trial in mirror.trials:
        reached = [other for other in sorted(trial.values) if other >= rung]
        if trial.number != number and reached:
            at_rung.append(pick(value for other, value in trial.values.items() if other <= reached[0]))
    ranked = sorted(at_rung, reverse=mirror.metric.direction == "maximize")
    last_kept = ranked[max(1, len(ranked) // eta) - 1]
    return not mirror.metric.better(last_kept, at_rung[0])


def test_rungs_lie_below_the_last_epoch() -> None:
    assert RungOptions().epochs(52) == (2, 8, 32)
    assert RungOptions().epochs(32) == (2, 8)
    assert RungOptions().epochs(2) == ()
    assert RungOptions(min_resource=1, reduction_factor=3).epochs(10) == (1, 3, 9)


@given(st.data(), st.sampled_from(["minimize", "maximize"]), st.integers(2, 4))
def test_decisions_are_those_of_the_rule(data: st.DataObject, direction: str, eta: int) -> None:
    mirror = Mirror(asha_study(direction=direction, min_resource=1, reduction_factor=eta))
    pruner = build_pruner(mirror.spec)
    for _ in range(4):
        grow(mirror, data, max_steps=15)
        running = [trial for trial in mirror.trials if trial.state is TrialState.RUNNING]
        if not running:
            continue
        trial = data.draw(st.sampled_from(running))
        epoch = max(trial.values, default=0) + 1
        values = trial.values | {epoch: float(data.draw(st.integers(-5, 5)))}
        verdict = pruner.judge(mirror, trial.number, epoch, values)
        rungs = RungOptions(min_resource=1, reduction_factor=eta).epochs(16)
        last = max(trial.values, default=0)
        entered = [rung for rung in rungs if last < rung <= epoch]
        if not entered:
            assert verdict.evidence is None
            assert verdict.decision is Decision.CONTINUE
            continue
        expected = goes_on(mirror, trial.number, values, eta=eta, rung=entered[-1])
        assert verdict.decision is (Decision.CONTINUE if expected else Decision.STOP)
        assert verdict == build_pruner(mirror.spec).judge(rebuilt(mirror), trial.number, epoch, values)
        assert verdict.evidence is not None
        better = mirror.metric.better(float(verdict.evidence["threshold"]), float(verdict.evidence["value"]))  # type: ignore[arg-type]
        assert better != expected, "the evidence explains the decision"


@given(st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=40), st.integers(2, 4))
def test_one_after_the_other_it_decides_as_optuna(losses: list[float], eta: int) -> None:
    mirror = Mirror(asha_study(min_resource=1, reduction_factor=eta))
    ours = build_pruner(mirror.spec)
    theirs = optuna.create_study(pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=eta))
    for number, loss in enumerate(losses):
        mirror.add(number, number + 1, mirror.space.params_at([0.5] * len(mirror.space)))
        mirror.start(number)
        trial = theirs.ask()
        trial.report(loss, 1)
        verdict = ours.judge(mirror, number, 1, {1: loss})
        mirror.measure(number, 1, loss)
        assert (verdict.decision is Decision.STOP) == trial.should_prune()


def test_evidence_of_a_stop() -> None:
    mirror = Mirror(asha_study(direction="maximize"))
    for number, value in enumerate([0.9, 0.8, 0.7, 0.6]):
        mirror.add(number, number + 1, mirror.space.params_at([0.5] * len(mirror.space)))
        mirror.start(number)
        if number < 3:
            mirror.measure(number, 1, 0.1)
            mirror.measure(number, 2, value)
    verdict = build_pruner(mirror.spec).judge(mirror, 3, 2, {1: 0.6, 2: 0.5})
    assert verdict.decision is Decision.STOP
    assert verdict.evidence == {
        "rule": "asha",
        "epoch": 2,
        "rung": 2,
        "value": 0.6,
        "threshold": 0.9,
        "rank": 4,
        "kept": 1,
        "peers": 3,
    }


@pytest.mark.parametrize("promote", [True, False])
def test_judging_again_after_the_epoch_was_stored_says_the_same(promote: bool) -> None:
    play = Play(asha_study(promote=promote)).until(30)
    mirror, pruner = play.mirror, play.pruner
    checked = 0
    for trial in mirror.trials:
        values = {epoch: value for epoch, value in trial.values.items() if epoch <= 2}
        if len(values) < 2:
            continue
        before = rebuilt(mirror)
        before.start(trial.number, first_epoch=2, promoted_epoch=0)
        after = rebuilt(before)
        after.measure(trial.number, 2, values[2])
        verdict = pruner.judge(before, trial.number, 2, values)
        assert verdict.evidence is not None
        assert pruner.judge(after, trial.number, 2, values) == verdict
        checked += 1
    assert checked > 20


def test_a_rung_that_was_skipped_counts_with_the_next_epoch() -> None:
    mirror = Mirror(asha_study())
    for number in range(2):
        mirror.add(number, number + 1, mirror.space.params_at([0.5] * len(mirror.space)))
        mirror.start(number)
    mirror.measure(0, 1, 1.0)
    mirror.measure(0, 3, 0.5)
    verdict = build_pruner(mirror.spec).judge(mirror, 1, 4, {1: 0.9, 4: 0.6})
    assert verdict.decision is Decision.STOP
    assert verdict.evidence is not None
    assert (verdict.evidence["rung"], verdict.evidence["threshold"]) == (2, 0.5)


@pytest.mark.parametrize("pruner", [{"kind": "asha"}, {"kind": "asha", "promote": False}, {"kind": "median"}])
def test_pruning_spends_fewer_epochs_and_spares_the_best(pruner: dict[str, Any]) -> None:
    play = Play(study(pruner=pruner)).until(60)
    ended = [trial for trial in play.mirror.trials if trial.state is not TrialState.RUNNING]
    short = [trial for trial in ended if trial.state in (TrialState.PRUNED, TrialState.PAUSED)]
    assert len(short) > len(ended) / 3
    best = min(ended, key=lambda trial: trial.value or 0)
    assert best.state is TrialState.COMPLETE
