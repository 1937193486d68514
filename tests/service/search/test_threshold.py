"""Limits of a value, against Optuna's pruner."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from caviar.contract.errors import InvalidRequest
from service.search.registry import build_pruner
from tests.service.search.pruning import CURVE, DIRECTIONS, VALUES, begin, compare, mirror_of
from tests.service.search.studies import study

OPTIONS = st.fixed_dictionaries(
    {
        "lower": st.none() | VALUES,
        "upper": st.none() | VALUES,
        "n_warmup_steps": st.integers(0, 4),
        "interval_steps": st.integers(1, 3),
    }
)


@given(CURVE, OPTIONS, DIRECTIONS, st.data())
def test_it_decides_as_optunas(own: list[float], options: dict[str, Any], direction: str, data: st.DataObject) -> None:
    lower, upper = options["lower"], options["upper"]
    assume(lower is not None or upper is not None)
    assume(lower is None or upper is None or lower <= upper)
    mirror = mirror_of([], {"kind": "threshold"} | options, direction)
    compare(mirror, optuna.pruners.ThresholdPruner(**options), own, data)


@pytest.mark.parametrize(
    ("limits", "value", "direction", "decision", "threshold"),
    [
        ({"lower": 0.0, "upper": 5.0}, 6.0, "minimize", "stop", 5.0),
        ({"lower": 0.0, "upper": 5.0}, -1.0, "minimize", "stop", 0.0),
        ({"lower": 0.0, "upper": 5.0}, 3.0, "minimize", "continue", 5.0),
        ({"lower": 0.0, "upper": 5.0}, 3.0, "maximize", "continue", 0.0),
        ({"upper": 5.0}, 3.0, "maximize", "continue", 5.0),
    ],
)
def test_evidence(limits: dict[str, float], value: float, direction: str, decision: str, threshold: float) -> None:
    mirror = mirror_of([], {"kind": "threshold"} | limits, direction)
    verdict = build_pruner(mirror.spec).judge(mirror, begin(mirror), 2, {1: 9.0, 2: value})
    assert verdict.decision == decision
    assert verdict.evidence == {"rule": "threshold", "epoch": 2, "value": value, "threshold": threshold, "peers": 0}


@pytest.mark.parametrize(
    ("options", "received", "expected"),
    [
        ({}, None, "a number for upper, lower or both; without any nothing is pruned"),
        ({"lower": 2.0, "upper": 1.0}, 1.0, "a number of at least lower (2.0); exchange them"),
    ],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, float], received: object, expected: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_pruner(study(pruner={"kind": "threshold"} | options))
    [error] = caught.value.errors
    assert (error.field, error.received, error.expected) == ("pruner.upper", received, expected)
