"""Studies of every kind, and forms as a browser sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from caviar.contract.study import StudySpec
from service.web.forms.draft import Draft
from tests.caviar.contract.spaces import NAMES, SCALARS, spaces

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
LABELS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
SLUGS = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True)
NUMBERS = st.floats(-1e6, 1e6)
POSITIVE = st.integers(1, 10**6)
SECONDS = st.integers(1, 10**6) | st.floats(0.001, 1e6)
JSON = st.recursive(
    SCALARS | st.none(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=6,
)


def limits(**kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields, each a value or null."""
    return st.fixed_dictionaries({}, optional={name: st.none() | kind for name, kind in kinds.items()})


PLUGINS = st.sampled_from(
    [
        {"kind": "coarse_to_fine"},
        {"kind": "coarse_to_fine", "startup_trials": 20, "spread": 1.5},
        {"kind": "grid", "points": {"a": 3, "b": [1, 2.5]}, "default_points": 4},
        {"kind": "tpe", "multivariate": False},
        {"kind": "quasi_random", "sequence": "halton"},
        {"kind": "cma_es", "popsize": None},
    ]
)
PRUNERS = st.sampled_from(
    [
        {"kind": "asha"},
        {"kind": "none"},
        {"kind": "percentile", "percentile": 40.0, "n_startup_trials": 2},
        {"kind": "patient", "wrapped": {"kind": "median", "n_startup_trials": 1}, "patience": 2},
        {"kind": "patient", "wrapped": None},
        {"kind": "threshold", "upper": 1e30},
    ]
)
EARLY = st.none() | st.fixed_dictionaries(
    {"patience": st.integers(0, 100)},
    optional={
        "monitor": st.none() | st.just("val_mae"),
        "min_delta": st.floats(0, 1),
        "mode": st.sampled_from(["auto", "min", "max"]),
        "baseline": st.none() | NUMBERS,
        "restore_best_weights": st.booleans(),
        "start_from_epoch": st.integers(0, 50),
    },
)


@st.composite
def studies(draw: st.DrawFn) -> StudySpec:
    """A study with any fields."""
    budget = draw(
        limits(
            max_total_epochs=POSITIVE, max_seconds=SECONDS, max_trial_seconds=SECONDS, max_parallel=POSITIVE,
            max_stagnant_trials=POSITIVE, target=NUMBERS,
        )
    )  # fmt: skip
    has_end = budget.get("max_total_epochs") or budget.get("max_seconds")
    max_trials = draw(st.none() | POSITIVE) if has_end else draw(POSITIVE)
    return StudySpec.model_validate(
        {
            "name": draw(SLUGS),
            "objective": {"name": draw(NAMES), "config": draw(st.dictionaries(TEXTS, JSON, max_size=4))},
            "metric": {"name": draw(NAMES), "direction": draw(st.sampled_from(["minimize", "maximize"]))},
            "space": draw(spaces()).model_dump(mode="json"),
            "strategy": draw(PLUGINS),
            "pruner": draw(PRUNERS),
            "early_stopping": draw(EARLY),
            "budget": budget | {"max_trials": max_trials, "max_epochs": draw(POSITIVE)},
            "retries": draw(st.integers(0, 100)),
            "checkpoints": draw(limits(every_epochs=POSITIVE, every_s=SECONDS))
            | {"keep_best": draw(st.integers(0, 1000))},
            "requires": {
                "device": draw(st.sampled_from([None, "gpu", "cpu"])),
                "memory_bytes": draw(st.none() | st.integers(1, 2**45)),
                "labels": draw(st.dictionaries(LABELS, LABELS, max_size=3)),
            },
            "priority": draw(st.integers(-1000, 1000)),
            "seed": draw(st.integers(0, 2**53 - 1)),
            "warm_start": draw(st.lists(SLUGS, max_size=3)),
            "tags": draw(st.dictionaries(LABELS, TEXTS, max_size=3)),
        }
    )


def pairs(draft: Draft) -> Iterator[tuple[str, str]]:
    """The inputs of a form in the order of the page; a tick that is not set is not sent."""
    for name, text in draft.texts.items():
        if text or not name.endswith(("early_stopping", "restore_best_weights")):
            yield name, text
    for table, rows in draft.rows.items():
        for key, row in rows.items():
            for column, text in row.items():
                if text or column != "ordered":
                    yield f"{table}.{key}.{column}", text


def text_of(spec: StudySpec) -> str:
    """All of a study as a text, in which 1 differs from true and the order of parameters shows."""
    return json.dumps(spec.model_dump(mode="json"))
