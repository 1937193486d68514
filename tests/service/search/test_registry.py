"""The registry: what is built, and how a mistake is explained."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.errors import InvalidRequest
from caviar.contract.study import StudySpec
from service.search.registry import PRUNERS, SAMPLERS, build_pruner, build_sampler
from tests.service.search.studies import study


def build_both(spec: StudySpec) -> None:
    build_sampler(spec)
    build_pruner(spec)


@pytest.mark.parametrize("kind", sorted(SAMPLERS))
def test_every_sampler_is_built_with_defaults(kind: str) -> None:
    sampler = build_sampler(study(strategy={"kind": kind}))
    assert sampler.kind == kind
    assert sampler.Options() == sampler.Options.model_validate({})


@pytest.mark.parametrize("kind", sorted(PRUNERS))
def test_every_pruner_is_built_with_defaults(kind: str) -> None:
    # A threshold pruner without any limit is refused.
    options = {"upper": 10.0} if kind == "threshold" else {}
    assert build_pruner(study(pruner={"kind": kind} | options)).kind == kind


def test_options_reach_what_is_built() -> None:
    sampler = build_sampler(study(strategy={"kind": "coarse_to_fine", "startup_trials": 20}))
    assert sampler.options.startup_trials == 20  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "field", "received", "expected"),
    [
        (
            {"strategy": {"kind": "coarse_to_fin"}},
            "strategy.kind",
            "coarse_to_fin",
            f"one of {', '.join(sorted(SAMPLERS))}; did you mean coarse_to_fine?",
        ),
        ({"pruner": {"kind": "zzz"}}, "pruner.kind", "zzz", f"one of {', '.join(sorted(PRUNERS))}"),
        (
            {"pruner": {"kind": "asha", "reduction_facto": 3}},
            "pruner.reduction_facto",
            3,
            "an option of asha: min_resource, reduction_factor, promote; did you mean reduction_factor?",
        ),
        ({"pruner": {"kind": "none", "eta": 3}}, "pruner.eta", 3, "nothing: none has no options"),
    ],
)
def test_unknown_names_are_explained(changes: dict[str, Any], field: str, received: object, expected: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_both(study(**changes))
    assert [(error.field, error.received, error.expected) for error in caught.value.errors] == [
        (field, received, expected)
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"strategy": {"kind": "coarse_to_fine", "elite_fraction": 1.5}}, "strategy.elite_fraction"),
        ({"strategy": {"kind": "tpe", "max_history": 0}}, "strategy.max_history"),
        ({"strategy": {"kind": "cma_es", "popsize": 3}}, "strategy.popsize"),
        ({"strategy": {"kind": "quasi_random", "sequence": "sobel"}}, "strategy.sequence"),
        ({"pruner": {"kind": "percentile", "percentile": 101}}, "pruner.percentile"),
        ({"strategy": {"kind": "tpe", "n_startup_trials": "many"}}, "strategy.n_startup_trials"),
        ({"pruner": {"kind": "asha", "reduction_factor": 1}}, "pruner.reduction_factor"),
        ({"pruner": {"kind": "median", "interval_steps": 0}}, "pruner.interval_steps"),
    ],
)
def test_options_out_of_range_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_both(study(**changes))
    assert [error.field for error in caught.value.errors] == [field]
