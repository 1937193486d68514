"""Patience, against Optuna's pruner, and around one that promotes."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.errors import InvalidRequest
from service.search.registry import build_pruner
from tests.service.search.pruning import CURVE, CURVES, DIRECTIONS, begin, compare, mirror_of
from tests.service.search.studies import study

OPTIONS = st.fixed_dictionaries({"patience": st.integers(0, 4), "min_delta": st.sampled_from([0.0, 0.5, 3.0])})


@given(CURVE, OPTIONS, DIRECTIONS, st.data())
def test_alone_it_decides_as_optunas(
    own: list[float], options: dict[str, Any], direction: str, data: st.DataObject
) -> None:
    mirror = mirror_of([], {"kind": "patient"} | options, direction)
    compare(mirror, optuna.pruners.PatientPruner(None, **options), own, data)


@given(CURVES, CURVE, OPTIONS, DIRECTIONS, st.data())
def test_around_another_it_decides_as_optunas(
    curves: list[list[float]], own: list[float], options: dict[str, Any], direction: str, data: st.DataObject
) -> None:
    wrapped = {"kind": "median", "n_startup_trials": 1}
    mirror = mirror_of(curves, {"kind": "patient", "wrapped": wrapped} | options, direction)
    compare(mirror, optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(1), **options), own, data)


def test_evidence_tells_the_best_before_and_after() -> None:
    mirror = mirror_of([], {"kind": "patient", "patience": 1, "min_delta": 0.5})
    pruner, number = build_pruner(mirror.spec), begin(mirror)
    assert pruner.judge(mirror, number, 2, {1: 1.0, 2: 3.0}).evidence is None
    verdict = pruner.judge(mirror, number, 3, {1: 1.0, 2: 3.0, 3: 2.0})
    assert verdict.decision == "stop"
    assert verdict.evidence == {"rule": "patient", "epoch": 3, "value": 2.0, "threshold": 1.5, "peers": 0}


def test_pauses_and_promotions_are_those_of_the_other() -> None:
    mirror = mirror_of([], {"kind": "patient", "wrapped": {"kind": "asha", "min_resource": 1}, "patience": 0})
    pruner, alone = build_pruner(mirror.spec), build_pruner(study(pruner={"kind": "asha", "min_resource": 1}))
    assert pruner.pause_epochs(mirror.spec, 0, 0) == alone.pause_epochs(mirror.spec, 0, 0) != []
    for value in (4.0, 3.0, 1.0, 2.0):
        number = begin(mirror)
        mirror.measure(number, 1, value)
        mirror.pause(number)
    promotion = pruner.promote(mirror, is_last_call=False)
    assert promotion is not None
    assert promotion == alone.promote(mirror, is_last_call=False)
    assert promotion.number == 2


def test_without_another_it_never_pauses() -> None:
    mirror = mirror_of([], {"kind": "patient"})
    pruner = build_pruner(mirror.spec)
    assert pruner.pause_epochs(mirror.spec, 0, 0) == []
    assert pruner.promote(mirror, is_last_call=True) is None


@pytest.mark.parametrize(
    ("wrapped", "field"),
    [
        ({"kind": "medan"}, "pruner.wrapped.kind"),
        ({"kind": "median", "n_startup_trial": 1}, "pruner.wrapped.n_startup_trial"),
        ({"kind": "patient"}, "pruner.wrapped.kind"),
        ({}, "pruner.wrapped.kind"),
        ("median", "pruner.wrapped"),
    ],
)
def test_mistakes_within_the_other_are_explained_where_they_are(wrapped: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_pruner(study(pruner={"kind": "patient", "wrapped": wrapped}))
    assert [error.field for error in caught.value.errors] == [field]
