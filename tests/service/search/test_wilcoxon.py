"""The signed-rank test, against Optuna's pruner."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import Decision
from service.search.registry import build_pruner
from tests.service.search.pruning import CURVE, CURVES, DIRECTIONS, begin, compare, mirror_of

OPTIONS = st.fixed_dictionaries(
    {"p_threshold": st.sampled_from([0.0, 0.1, 0.3, 1.0]), "n_startup_steps": st.integers(0, 4)}
)


@pytest.mark.filterwarnings("ignore:WilcoxonPruner finds steps:UserWarning")
@given(CURVES, CURVE, OPTIONS, DIRECTIONS, st.data())
def test_it_decides_as_optunas(
    curves: list[list[float]], own: list[float], options: dict[str, Any], direction: str, data: st.DataObject
) -> None:
    mirror = mirror_of(curves, {"kind": "wilcoxon"} | options, direction)
    compare(mirror, optuna.pruners.WilcoxonPruner(**options), own, data)


def test_evidence_of_a_stop() -> None:
    best = [1.0, 0.9, 0.8, 0.7]
    mirror = mirror_of([[0.1], [2.0] * 4, best], {"kind": "wilcoxon"})
    pruner, number = build_pruner(mirror.spec), begin(mirror)
    worse = {epoch: value + 0.1 * epoch for epoch, value in enumerate(best, start=1)}
    assert pruner.judge(mirror, number, 1, {1: 1.1}).evidence is None
    verdict = pruner.judge(mirror, number, 4, worse)
    assert verdict.decision is Decision.STOP
    assert verdict.evidence == {
        "rule": "wilcoxon",
        "epoch": 4,
        "value": worse[4],
        "threshold": 0.1,
        # All of four differences point one way: one of sixteen patterns of signs.
        "p_value": 1 / 16,
        "best_trial": 2,
        "peers": 1,
    }


def test_a_retried_best_trial_is_no_peer_any_more() -> None:
    mirror = mirror_of([[9.0], [1.0] * 4], {"kind": "wilcoxon"})
    pruner, number = build_pruner(mirror.spec), begin(mirror)
    own = {epoch: 2.0 + epoch for epoch in range(1, 5)}
    assert pruner.judge(mirror, number, 4, own).decision is Decision.STOP
    mirror.requeue(1)
    assert pruner.judge(mirror, number, 4, own).evidence is None
