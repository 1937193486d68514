"""The percentile and the median stopping rule, against Optuna's."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import Decision, StopReason, TrialState
from service.search.pruners.percentile import CompleteIndex, percentile_of
from service.search.registry import build_pruner
from tests.service.search.pruning import CURVE, CURVES, DIRECTIONS, begin, compare, mirror_of

MEDIAN = {
    "n_startup_trials": st.integers(0, 4),
    "n_warmup_steps": st.integers(0, 4),
    "interval_steps": st.integers(1, 3),
    "n_min_trials": st.integers(1, 3),
}
PERCENTILE = MEDIAN | {"percentile": st.sampled_from([0, 10, 25, 62.5, 75, 100])}


@given(CURVES, CURVE, st.fixed_dictionaries(MEDIAN), DIRECTIONS, st.data())
def test_the_median_decides_as_optunas(
    curves: list[list[float]], own: list[float], options: dict[str, Any], direction: str, data: st.DataObject
) -> None:
    mirror = mirror_of(curves, {"kind": "median"} | options, direction)
    compare(mirror, optuna.pruners.MedianPruner(**options), own, data)


@given(CURVES, CURVE, st.fixed_dictionaries(PERCENTILE), DIRECTIONS, st.data())
def test_the_percentile_decides_as_optunas(
    curves: list[list[float]], own: list[float], options: dict[str, Any], direction: str, data: st.DataObject
) -> None:
    mirror = mirror_of(curves, {"kind": "percentile"} | options, direction)
    compare(mirror, optuna.pruners.PercentilePruner(**options), own, data)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 100))
def test_a_percentile_is_numpys(values: list[float], percentile: int) -> None:
    assert percentile_of(sorted(values), percentile) == float(np.percentile(values, percentile))


@pytest.mark.parametrize(("kind", "threshold", "decision"), [("median", 2.0, "stop"), ("percentile", 1.5, "stop")])
def test_evidence_of_a_stop(kind: str, threshold: float, decision: str) -> None:
    mirror = mirror_of([[9.0], [1.0, 1.0], [3.0, 3.0]], {"kind": kind, "n_startup_trials": 2})
    verdict = build_pruner(mirror.spec).judge(mirror, begin(mirror), 2, {1: 4.0, 2: 5.0})
    assert verdict.decision == decision
    assert verdict.evidence == {"rule": kind, "epoch": 2, "value": 4.0, "threshold": threshold, "peers": 2}


def test_a_retried_trial_is_no_peer_any_more() -> None:
    mirror = mirror_of([[9.0], [1.0], [1.0]], {"kind": "median", "n_startup_trials": 1})
    pruner, number = build_pruner(mirror.spec), begin(mirror)
    assert pruner.judge(mirror, number, 1, {1: 2.0}).decision is Decision.STOP
    for other in (1, 2):
        mirror.requeue(other)
    assert pruner.judge(mirror, number, 1, {1: 2.0}).evidence is None


def test_many_curves_at_once_are_the_same_as_one_after_the_other() -> None:
    mirror = mirror_of([], {"kind": "median"})
    one_by_one, at_once = CompleteIndex(mirror), CompleteIndex(mirror)

    def end(number: int, *values: float) -> None:
        mirror.start(number)
        for epoch, value in enumerate(values, start=1):
            mirror.measure(number, epoch, value)
        mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)

    def both_know(numbers: range) -> None:
        for number in numbers:
            one_by_one.stale.add(number)
            one_by_one.catch_up()
        at_once.stale.update(numbers)
        at_once.catch_up()
        assert at_once.at_epoch == one_by_one.at_epoch
        assert at_once.complete == one_by_one.complete

    for number in range(300):
        begin(mirror)
        end(number, number * 0.618 % 1, number * 0.382 % 1)
    both_know(range(300))
    assert len(at_once.at_epoch[2]) == 300
    for number in range(150):
        end(number, 0.5)
    both_know(range(150))
    assert len(at_once.at_epoch[2]) == 150
