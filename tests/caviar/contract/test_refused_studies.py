"""Every refusal of a study names the field, what came and what was expected."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from caviar.contract.errors import InvalidRequest, field_errors
from caviar.contract.space import Space
from caviar.contract.study import StudySpec
from tests.caviar.contract.refusing import STUDY, only, refused

SLUG = "a slug: 1–64 lower-case letters, digits, '.', '_' and '-', with a letter or digit at both ends"


@pytest.mark.parametrize(
    ("change", "field", "received", "expected"),
    [
        ({"name": "My study"}, "name", "My study", SLUG),
        ({"name": "study\n"}, "name", "study\n", SLUG),
        ({"name": "a" * 65}, "name", "a" * 65, SLUG),
        ({"name": "../etc"}, "name", "../etc", SLUG),
        ({"name": ""}, "name", "", SLUG),
        ({"name": 7}, "name", 7, "a text"),
        ({"nme": 7}, "nme", 7, "no such field; did you mean 'name'?"),
        ({"objective": "mlp"}, "objective", "mlp", "an object with named fields"),
        ({"objective": {}}, "objective.name", "nothing", "a value for this required field"),
        (
            {"objective": {"name": "m l p"}},
            "objective.name",
            "m l p",
            "the name of an objective: a letter or '_', then at most 63 letters, digits, '_', '.' and '-'",
        ),
        (
            {"objective": {"name": "mlp", "options": 1}},
            "objective.options",
            1,
            "no such field; the fields here are name, config",
        ),
        (
            {"metric": {"name": "val loss"}},
            "metric.name",
            "val loss",
            "the name of a metric: a letter or '_', then at most 127 letters, digits, '_', '.', '/' and '-'",
        ),
        (
            {"metric": {"direction": "min"}},
            "metric.direction",
            "min",
            "one of minimize, maximize; did you mean 'minimize'?",
        ),
        ({"strategy": "random"}, "strategy", "random", "an object with named fields"),
        ({"strategy": {}}, "strategy.kind", "nothing", "a value for this required field"),
        (
            {"strategy": {"kind": "TPE"}},
            "strategy.kind",
            "TPE",
            "the name of a strategy or pruner: 1–40 lower-case letters and '_'",
        ),
        (
            {"pruner": {"kind": "asha", "x": [math.nan]}},
            "pruner.x.0",
            "nan",
            "a finite number; JSON has no NaN and no infinity",
        ),
        (
            {"early_stopping": {"patience": 1.5}},
            "early_stopping.patience",
            1.5,
            "a whole number, written without a decimal point",
        ),
        ({"early_stopping": {"patience": -1}}, "early_stopping.patience", -1, "a number of at least 0"),
        ({"early_stopping": {"min_delta": math.nan}}, "early_stopping.min_delta", "nan", "a finite number"),
        ({"early_stopping": {"baseline": -math.inf}}, "early_stopping.baseline", "-inf", "a finite number"),
        ({"early_stopping": {"mode": "minimise"}}, "early_stopping.mode", "minimise", "one of auto, min, max"),
        (
            {"early_stopping": {"restore_best": True}},
            "early_stopping.restore_best",
            True,
            "no such field; did you mean 'restore_best_weights'?",
        ),
        (
            {"early_stopping": {"restore_best_weights": "yes"}},
            "early_stopping.restore_best_weights",
            "yes",
            "true or false",
        ),
        ({"budget": {"max_trials": 0}}, "budget.max_trials", 0, "a number of at least 1"),
        ({"budget": {"max_epochs": 0}}, "budget.max_epochs", 0, "a number of at least 1"),
        (
            {"budget": {"max_epochs": None}},
            "budget.max_epochs",
            None,
            "a whole number, written without a decimal point",
        ),
        ({"budget": {"max_epochs": 10**7}}, "budget.max_epochs", 10**7, "a number of at most 1000000"),
        ({"budget": {"max_total_epochs": 0}}, "budget.max_total_epochs", 0, "a number of at least 1"),
        ({"budget": {"max_total_epochs": 2**53}}, "budget.max_total_epochs", 2**53, f"a number below {2**53}"),
        ({"budget": {"max_seconds": 0}}, "budget.max_seconds", 0, "a number above 0"),
        ({"budget": {"max_seconds": math.inf}}, "budget.max_seconds", "inf", "a finite number"),
        ({"budget": {"max_trial_seconds": 0.0}}, "budget.max_trial_seconds", 0.0, "a number above 0"),
        ({"budget": {"max_parallel": 0}}, "budget.max_parallel", 0, "a number of at least 1"),
        ({"budget": {"target": math.nan}}, "budget.target", "nan", "a finite number"),
        ({"budget": {"max_trial": 3}}, "budget.max_trial", 3, "no such field; did you mean 'max_trials'?"),
        (
            {"budget": {"max_trials": None}},
            "budget.max_trials",
            None,
            "at least one of max_trials, max_total_epochs and max_seconds; a study without any would never end",
        ),
        ({"retries": -1}, "retries", -1, "a number of at least 0"),
        ({"retries": 101}, "retries", 101, "a number of at most 100"),
        ({"retries": "2"}, "retries", "2", "a whole number, written without a decimal point"),
        ({"seed": -1}, "seed", -1, "a number of at least 0"),
        ({"seed": 2**53}, "seed", 2**53, f"a number below {2**53}"),
        ({"seed": 1.0}, "seed", 1.0, "a whole number, written without a decimal point"),
        ({"tags": {"": "x"}}, "tags.", "", "a text of 1 or more characters"),
        ({"tags": {"k": 3}}, "tags.k", 3, "a text"),
        ({"tags": {"k": "v" * 1001}}, "tags.k", "v" * 200, "a text of at most 1000 characters"),
        (
            {"tags": {"k": "\0"}},
            "tags.k",
            "\0",
            "a text without the character NUL (U+0000); no database could store it",
        ),
        ({"tags": {str(i): "" for i in range(101)}}, "tags", None, "at most 100 entries"),
        ({"tags": ["a"]}, "tags", "['a']", "an object with named entries"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(change: Any, field: Any, received: Any, expected: Any) -> None:
    path, came, wanted = only(StudySpec, STUDY | change)
    assert (path, wanted) == (field, expected)
    assert came == received or received is None


@pytest.mark.parametrize(
    ("config", "field", "received", "expected"),
    [
        ({"a": math.nan}, ".a", "nan", "a finite number; JSON has no NaN and no infinity"),
        ({"a": {"b": [1, -math.inf]}}, ".a.b.1", "-inf", "a finite number; JSON has no NaN and no infinity"),
        ({"a": 2**53 + 1}, ".a", 2**53 + 1, "a whole number of at most 2**53 in size; write a longer one as a text"),
        ({"a": ["\0"]}, ".a.0", "\0", "a text without the character NUL (U+0000); no database could store it"),
        ({"a": {"b\0": 1}}, ".a", "b\0", "a text without the character NUL (U+0000); no database could store it"),
        ({"a": {1: 1}}, ".a", 1, "objects whose keys are texts"),
        (
            {"a": (1, 2)},
            ".a",
            "(1, 2)",
            "a JSON value: an object, a list, a text, a finite number, true, false or null",
        ),
    ],
)
def test_a_config_that_is_not_plain_json_is_refused(config: Any, field: Any, received: Any, expected: Any) -> None:
    body = STUDY | {"objective": {"name": "mlp", "config": config}}
    assert only(StudySpec, body) == (f"objective.config{field}", received, expected)


@pytest.mark.parametrize("key", ["a\0", "\ud800"])
def test_a_config_whose_keys_no_database_could_store_is_refused(key: Any) -> None:
    told = "\\ud800" if key == "\ud800" else key
    for path, body in (
        ("objective.config", STUDY | {"objective": {"name": "mlp", "config": {key: 1}}}),
        ("pruner", STUDY | {"pruner": {"kind": "asha", key: 1}}),
    ):
        field, received, expected = only(StudySpec, body)
        assert field.startswith(path)
        assert received == told
        assert expected.startswith("a text ")


@pytest.mark.parametrize("depth", [33, 200, 900, 100_000])
@pytest.mark.parametrize("is_dict", [True, False])
def test_a_body_nested_without_end_is_refused(depth: Any, is_dict: Any) -> None:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if is_dict else [value]
    for body in (
        STUDY | {"objective": {"name": "mlp", "config": {"c": value}}},
        STUDY | {"pruner": {"kind": "asha", "c": value}},
    ):
        assert only(StudySpec, body)[2] == "objects and lists nested at most 32 deep"
    assert refused(StudySpec, value)[0].field in ("", "name")
    assert only(StudySpec, STUDY | {"retries": value})[0] == "retries"


def test_a_body_nested_as_deep_as_people_do_is_taken() -> None:
    value: Any = 1
    for _ in range(31):
        value = [value]
    StudySpec.model_validate(STUDY | {"objective": {"name": "mlp", "config": {"c": value}}})


def test_an_answer_about_a_huge_body_stays_small() -> None:
    body = STUDY | {
        "objective": {"name": "mlp", "config": {f"k{i}": math.nan for i in range(100_000)}},
        "x" * 1_000_000: "y" * 1_000_000,
        "retries": list(range(1_000_000)),
    }
    errors = refused(StudySpec, body)
    problem = InvalidRequest("no", errors=errors).problem()
    assert len(json.dumps(problem)) < 100_000
    assert problem["errors"][-1]["expected"] == "at most 100 are listed"


def test_all_refused_fields_of_a_body_are_told_at_once() -> None:
    body = {
        "name": "A",
        "objective": {"name": "mlp", "config": {"a": math.nan}},
        "budget": {"max_trials": 0},
        "sed": 1,
        "space": {"x": {"type": "float", "low": 1, "high": 0}, "y": {"type": "int", "low": 0, "high": "1"}},
    }
    assert {error.field for error in refused(StudySpec, body)} == {
        "name",
        "objective.config.a",
        "budget.max_trials",
        "sed",
        "space.x.low",
        "space.y.high",
    }


def test_a_prefix_leads_from_the_request_to_the_validated_part() -> None:
    body = {"x": {"type": "flot"}}
    with pytest.raises(ValidationError) as caught:
        Space.model_validate(body)
    assert field_errors(caught.value, body, prefix="study.space")[0].field == "study.space.x.type"
