"""ASHA by promotion, against the rule spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import Decision, StopReason, TrialState
from caviar.contract.study import StudySpec
from service.search.mirror import Mirror, TrialRecord
from service.search.pruner import Pruner, Verdict
from service.search.registry import build_pruner
from service.search.rungs import Ladder, RungIndex, RungOptions
from tests.service.search.histories import grow
from tests.service.search.studies import Play, rebuilt, study

DIRECTIONS = st.sampled_from(["minimize", "maximize"])


def asha_study(*, direction: str = "minimize", **options: Any) -> StudySpec:
    return study(metric={"name": "m", "direction": direction}, pruner={"kind": "asha"} | options)


def losses(mirror: Mirror, values: Mapping[int, float], rungs: tuple[int, ...]) -> dict[int, float]:
    """Best loss up to the first measured epoch at or after each rung."""
    sign = 1 if mirror.metric.direction == "minimize" else -1
    found = {}
    for rung in rungs:
        later = [epoch for epoch in values if epoch >= rung]
        if later:
            found[rung] = min(sign * value for epoch, value in values.items() if epoch <= min(later))
    return found


def best_of_rung(mirror: Mirror, rung: int, rungs: tuple[int, ...], *, eta: int, is_last_call: bool) -> int | None:
    """The trial that goes on from a rung, from all curves at once."""
    reached = {trial.number: losses(mirror, trial.values, rungs) for trial in mirror.trials}
    ranked = sorted((found[rung], number) for number, found in reached.items() if rung in found)
    waiting = [
        (loss, number)
        for loss, number in ranked
        if mirror.trials[number].state is TrialState.PAUSED and max(reached[number]) == rung
    ]
    if not waiting:
        return None
    was_left = any(t.promoted_epoch >= rung or max(t.values, default=0) > rung for t in mirror.trials)
    is_kept = waiting[0] in ranked[: len(ranked) // eta]
    return waiting[0][1] if is_kept or (is_last_call and not was_left) else None


def next_one(mirror: Mirror, *, eta: int, is_last_call: bool = False) -> int | None:
    """The trial that goes on: from the highest rung that has one."""
    rungs = RungOptions(min_resource=1, reduction_factor=eta).epochs(16)
    found = (best_of_rung(mirror, rung, rungs, eta=eta, is_last_call=is_last_call) for rung in reversed(rungs))
    return next((number for number in found if number is not None), None)


def begin(mirror: Mirror, *curves: list[float]) -> None:
    """Add trials with these curves, paused after their last epoch."""
    for curve in curves:
        number = len(mirror.trials)
        mirror.add(number, number + 1, mirror.space.params_at([0.5] * len(mirror.space)))
        mirror.start(number)
        for epoch, value in enumerate(curve, start=1):
            mirror.measure(number, epoch, value)
        if curve:
            mirror.pause(number)


def report(mirror: Mirror, pruner: Pruner, number: int, epoch: int, value: float) -> Verdict:
    verdict = pruner.judge(mirror, number, epoch, {**mirror.trials[number].values, epoch: value})
    mirror.measure(number, epoch, value)
    if verdict.decision is Decision.PAUSE:
        mirror.pause(number)
    return verdict


@given(st.data(), DIRECTIONS, st.integers(2, 4))
def test_promotions_are_those_of_the_rule(data: st.DataObject, direction: str, eta: int) -> None:
    mirror = Mirror(asha_study(direction=direction, min_resource=1, reduction_factor=eta))
    pruner = build_pruner(mirror.spec)
    for _ in range(3):
        grow(mirror, data, max_steps=40)
        for is_last_call in (False, True):
            promotion = pruner.promote(mirror, is_last_call=is_last_call)
            assert (promotion and promotion.number) == next_one(mirror, eta=eta, is_last_call=is_last_call)
            assert promotion == build_pruner(mirror.spec).promote(rebuilt(mirror), is_last_call=is_last_call)


@given(st.data(), DIRECTIONS, st.integers(2, 3))
def test_a_trial_goes_on_at_once_only_if_it_would_be_promoted_next(
    data: st.DataObject, direction: str, eta: int
) -> None:
    mirror = Mirror(asha_study(direction=direction, min_resource=1, reduction_factor=eta))
    pruner = build_pruner(mirror.spec)
    rungs = RungOptions(min_resource=1, reduction_factor=eta).epochs(16)
    for _ in range(4):
        grow(mirror, data, max_steps=20)
        running = [trial for trial in mirror.trials if trial.state is TrialState.RUNNING]
        if not running:
            continue
        trial = data.draw(st.sampled_from(running))
        last = max(trial.values, default=0)
        values = trial.values | {last + 1: float(data.draw(st.integers(-5, 5)))}
        verdict = pruner.judge(mirror, trial.number, last + 1, values)
        assert verdict == build_pruner(mirror.spec).judge(rebuilt(mirror), trial.number, last + 1, values)
        if not any(max(last, trial.promoted_epoch) < rung <= last + 1 for rung in rungs):
            assert verdict == Verdict(Decision.CONTINUE)
            continue
        paused = rebuilt(mirror)
        paused.measure(trial.number, last + 1, values[last + 1])
        paused.pause(trial.number)
        is_next = next_one(paused, eta=eta) == trial.number
        assert verdict.decision is (Decision.CONTINUE if is_next else Decision.PAUSE)
        assert verdict.evidence is not None
        assert (int(verdict.evidence["rank"]) <= int(verdict.evidence["kept"])) >= is_next  # type: ignore[arg-type]


@given(st.data())
def test_who_waits_and_how_many_went_on_depends_on_the_trials_as_they_are(data: st.DataObject) -> None:
    mirror = Mirror(asha_study())
    rungs = (1, 2, 4)
    for _ in range(3):
        grow(mirror, data, max_steps=30)
        index = mirror.index(RungIndex, Ladder(rungs))
        reached = {trial.number: losses(mirror, trial.values, rungs) for trial in mirror.trials}
        for level, rung in enumerate(rungs):
            at_rung = sorted((found[rung], number) for number, found in reached.items() if rung in found)
            assert index.recorded[level] == at_rung
            assert index.paused[level] == [
                (loss, number)
                for loss, number in at_rung
                if mirror.trials[number].state is TrialState.PAUSED and max(reached[number]) == rung
            ]
            beyond = [t for t in mirror.trials if t.promoted_epoch >= rung or max(t.values, default=0) > rung]
            assert index.num_beyond[level] == len(beyond)


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_one_in_four_goes_on_and_tells_why(direction: str, sign: float) -> None:
    mirror = Mirror(asha_study(direction=direction))
    pruner = build_pruner(mirror.spec)
    begin(mirror, *[[9.0 * sign, sign * value] for value in (3.0, 1.0, 2.0)])
    assert pruner.promote(mirror, is_last_call=False) is None, "of three, no one is in the best quarter"
    begin(mirror, [9.0 * sign, 4.0 * sign])
    promotion = pruner.promote(mirror, is_last_call=False)
    assert promotion is not None
    assert (promotion.number, promotion.epoch) == (1, 2)
    assert promotion.evidence == {
        "rule": "asha",
        "epoch": 2,
        "rung": 2,
        "value": sign,
        "threshold": sign,
        "rank": 1,
        "kept": 1,
        "peers": 3,
    }
    mirror.start(1, first_epoch=3, promoted_epoch=2)
    assert pruner.promote(mirror, is_last_call=False) is None, "it still counts among the best of its rung"


def test_of_equal_values_the_earlier_trial_goes_on() -> None:
    mirror = Mirror(asha_study(reduction_factor=2))
    begin(mirror, *[[9.0, 1.0]] * 4)
    play = Play(mirror.spec)
    play.mirror = mirror
    assert [play.promote(), play.promote(), play.promote()] == [0, 1, None]


def test_equal_values_do_not_stop_an_earlier_trial_on_its_way() -> None:
    mirror = Mirror(asha_study(reduction_factor=2))
    begin(mirror, [], [9.0, 1.0], [9.0, 2.0])
    pruner = build_pruner(mirror.spec)
    assert pruner.judge(mirror, 0, 2, {1: 9.0, 2: 1.0}).decision is Decision.CONTINUE
    assert pruner.judge(mirror, 0, 2, {1: 9.0, 2: 1.5}).decision is Decision.PAUSE


def test_the_first_at_a_rung_pause_and_the_best_of_four_goes_on_without_a_pause() -> None:
    mirror = Mirror(asha_study())
    pruner = build_pruner(mirror.spec)
    begin(mirror, [], [], [], [])
    decisions = [report(mirror, pruner, number, 2, value).decision for number, value in enumerate([3.0, 2.0, 4.0, 1.0])]
    assert decisions == [Decision.PAUSE] * 3 + [Decision.CONTINUE]


def test_a_better_one_that_waits_takes_the_slot() -> None:
    mirror = Mirror(asha_study(reduction_factor=2))
    pruner = build_pruner(mirror.spec)
    begin(mirror, [9.0, 1.0], [9.0, 3.0], [9.0, 4.0], [])
    verdict = report(mirror, pruner, 3, 2, 2.0)
    assert verdict.decision is Decision.PAUSE
    assert verdict.evidence is not None
    assert (verdict.evidence["rank"], verdict.evidence["kept"]) == (2, 2), "it is good enough, but not the next one"


def test_the_highest_rung_goes_first_however_good_the_lower_ones_are() -> None:
    mirror = Mirror(asha_study(min_resource=1, reduction_factor=2))
    begin(mirror, [9.0, 9.0], [8.0, 8.0], [1.0], [2.0], [3.0], [4.0])
    promotion = build_pruner(mirror.spec).promote(mirror, is_last_call=False)
    assert promotion is not None
    assert (promotion.number, promotion.epoch) == (1, 2)


def test_the_last_call_sends_one_from_every_rung_that_none_was_promoted_from() -> None:
    play = Play(asha_study())
    begin(play.mirror, [9.0, 3.0], [9.0, 1.0])
    assert play.promote() is None
    promotion = play.pruner.promote(play.mirror, is_last_call=True)
    assert promotion is not None
    assert promotion.number == 1
    assert promotion.evidence["last_call"] is True
    assert (promotion.evidence["kept"], promotion.evidence["threshold"]) == (0, None)
    assert play.promote(is_last_call=True) == 1
    assert play.promote(is_last_call=True) is None, "one has gone on from there"
    for epoch in range(3, 9):
        play.mirror.measure(1, epoch, 1.0)
    play.mirror.pause(1)
    assert play.promote(is_last_call=True) == 1
    assert play.mirror.trials[1].promoted_epoch == 8
    play.mirror.end(1, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    assert play.promote(is_last_call=True) is None


def test_a_trial_that_begins_again_does_not_pause_where_it_was_promoted_from() -> None:
    mirror = Mirror(asha_study())
    pruner = build_pruner(mirror.spec)
    begin(mirror, *[[9.0, value] for value in (1.0, 2.0, 3.0, 4.0)])
    mirror.start(3, first_epoch=1, promoted_epoch=2)
    for epoch in range(1, 8):
        assert report(mirror, pruner, 3, epoch, 9.0) == Verdict(Decision.CONTINUE)
    assert report(mirror, pruner, 3, 8, 9.0).decision is Decision.PAUSE
    assert pruner.pause_epochs(mirror.spec, 3, 0) == [2, 8]
    assert pruner.pause_epochs(mirror.spec, 3, 2) == [8]
    assert pruner.pause_epochs(mirror.spec, 3, 8) == []


def test_by_stopping_nothing_pauses_and_nothing_is_promoted() -> None:
    mirror = Mirror(asha_study(promote=False))
    begin(mirror, [9.0, 1.0], [9.0, 2.0], [9.0, 3.0], [9.0, 4.0])
    pruner = build_pruner(mirror.spec)
    assert pruner.promote(mirror, is_last_call=True) is None
    assert pruner.pause_epochs(mirror.spec, 0, 0) == []


def test_about_one_in_four_goes_on_from_each_rung() -> None:
    def past(trials: list[TrialRecord], rung: int) -> float:
        return sum(max(trial.values, default=0) > rung for trial in trials) / len(trials)

    trials = Play(asha_study()).until(200).mirror.trials
    assert 0.2 < past(trials, 2) < 0.3
    assert 0.04 < past(trials, 8) < 0.12
    assert not any(trial.state is TrialState.PRUNED for trial in trials)
