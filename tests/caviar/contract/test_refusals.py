"""Every refusal names the field, what came and what was expected."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from caviar.contract.errors import FieldError, InvalidRequest, field_errors
from caviar.contract.messages import Claim, Finish, Measurement, RegisterWorker, Report
from caviar.contract.study import BudgetEdit, NewTrial, StudyEdit, StudySpec

STUDY: dict[str, Any] = {"name": "a", "objective": {"name": "mlp"}}


def refused(model: type[BaseModel], body: object) -> list[FieldError]:
    """The refused fields of a body that must not be valid."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    errors = field_errors(caught.value, body)
    # They go into an answer, so whatever came, they must be JSON in UTF-8.
    json.dumps([error.model_dump(mode="json") for error in errors], allow_nan=False).encode()
    return errors


def only(model: type[BaseModel], body: object) -> tuple[str, Any, str]:
    """The one refused field of a body: path, what came, what was expected."""
    [error] = refused(model, body)
    return error.field, error.received, error.expected


def number(**fields: Any) -> dict[str, Any]:
    """A study that searches one real number `x` in [0, 1], with these fields in place of the valid ones."""
    return STUDY | {"space": {"x": {"type": "float", "low": 0, "high": 1} | fields}}


def integer(**fields: Any) -> dict[str, Any]:
    """A study that searches one whole number `x` in [0, 10], with these fields in place of the valid ones."""
    return STUDY | {"space": {"x": {"type": "int", "low": 0, "high": 10} | fields}}


def conditional(when: Any, **others: Any) -> dict[str, Any]:
    """A study with a parameter `x` under a condition, beside parents of each type."""
    parents = {
        "c": {"type": "categorical", "choices": ["p", "q", True]},
        "i": {"type": "int", "low": 1, "high": 3},
        "f": {"type": "float", "low": 0, "high": 1},
    }
    return STUDY | {"space": parents | {"x": {"type": "int", "low": 0, "high": 1, "when": when}} | others}


FIX = "exchange low and high, or fix the value in the objective's config instead of searching it"
DOMAIN = "move the bound or choose another scale"


@pytest.mark.parametrize(
    ("body", "field", "received", "expected"),
    [
        (number(low=2), "space.x.low", 2.0, f"a number below high (1.0); {FIX}"),
        (number(low=1), "space.x.low", 1.0, f"a number below high (1.0); {FIX}"),
        (integer(low=10), "space.x.low", 10, f"a number below high (10); {FIX}"),
        (number(low=-1e308, high=1.7e308), "space.x.high", 1.7e308, "a range whose width is a finite number"),
        (number(scale="log"), "space.x.low", 0.0, f"a number in the domain of scale log (x > 0); {DOMAIN}"),
        (number(low=-1, scale="log"), "space.x.low", -1.0, f"a number in the domain of scale log (x > 0); {DOMAIN}"),
        (integer(scale="log"), "space.x.low", 0, f"a number in the domain of scale log (x > 0); {DOMAIN}"),
        (number(scale="reverse_log"), "space.x.high", 1.0,
         f"a number in the domain of scale reverse_log (0 <= x < 1); {DOMAIN}"),
        (number(low=-0.1, high=0.9, scale="1-beta"), "space.x.low", -0.1,
         f"a number in the domain of scale reverse_log (0 <= x < 1); {DOMAIN}"),
        (number(high=0.5, scale="logit"), "space.x.low", 0.0,
         f"a number in the domain of scale logit (0 < x < 1); {DOMAIN}"),
        (number(low=0.5, scale="logit"), "space.x.high", 1.0,
         f"a number in the domain of scale logit (0 < x < 1); {DOMAIN}"),
        (number(step=2), "space.x.step", 2.0, "a step of at most high - low (1.0); this space is too small for its grid"),
        (number(step=0.3), "space.x.high", 1.0,
         "low plus a whole number of steps, such as 0.9; the last step would not end at high"),
        (integer(step=3), "space.x.high", 10,
         "low plus a whole number of steps, such as 9; the last step would not end at high"),
        (integer(step=11), "space.x.step", 11, "a step of at most high - low (10); this space is too small for its grid"),
        (number(low=1e15, high=1e15 + 8, step=0.125), "space.x.step", 0.125,
         "a step that tells neighbouring values apart in floating point; use a larger step or a range nearer to 0"),
        (integer(low=-(2**53), high=2**53, step=1), "space.x.step", 1,
         "a step that tells neighbouring values apart in floating point; use a larger step or a range nearer to 0"),
        (integer(low=1, high=11, step=2, scale="log"), "space.x.step", 2,
         "a step whose half does not reach beyond the domain of scale log (x > 0); use a smaller step, or scale linear"),
        (number(low=0.5, high=0.9, step=0.4, scale="reverse_log"), "space.x.step", 0.4,
         "a step whose half does not reach beyond the domain of scale reverse_log (0 <= x < 1); "
         "use a smaller step, or scale linear"),
        (number(step=0), "space.x.step", 0, "a number above 0"),
        (integer(step=-1), "space.x.step", -1, "a number of at least 1"),
        (integer(high=2**53 + 1), "space.x.high", 2**53 + 1, "a number of at most 9007199254740992"),
        (number(low="0.1"), "space.x.low", "0.1", "a number"),
        (number(low=True), "space.x.low", True, "a number"),
        (number(low=None), "space.x.low", None, "a number"),
        (number(low=math.nan), "space.x.low", "nan", "a finite number"),
        (number(high=math.inf), "space.x.high", "inf", "a finite number"),
        (number(high=10**400), "space.x.high", "1" + "0" * 199, "a number of less than 1.8e308"),
        (number(high=10**5000), "space.x.high", "a whole number of 16610 bits", "a number of less than 1.8e308"),
        (integer(high=10.0), "space.x.high", 10.0, "a whole number, written without a decimal point"),
        (integer(high=False), "space.x.high", False, "a whole number, written without a decimal point"),
        (integer(scale="reverse_log"), "space.x.scale", "reverse_log", "one of linear, log"),
        (number(scale="logg"), "space.x.scale", "logg", "one of linear, log, reverse_log, logit; did you mean 'log'?"),
        (number(type="flot"), "space.x.type", "flot", "one of float, int, categorical; did you mean 'float'?"),
        (number(type=3), "space.x.type", 3, "one of float, int, categorical"),
        (STUDY | {"space": {"x": {"low": 0, "high": 1}}}, "space.x.type", "nothing",
         "a value for this required field, which says what kind of object this is"),
        (STUDY | {"space": {"x": {"type": "float", "low": 0}}}, "space.x.high", "nothing",
         "a value for this required field"),
        (STUDY | {"space": {"x": 3}}, "space.x", 3, "an object with named fields"),
        (STUDY | {"space": []}, "space", "[]", "an object with named entries"),
        (STUDY | {"space": {}}, "space", "{}", "1 or more entries"),
        (number(scal="log"), "space.x.scal", "log", "no such field; did you mean 'scale'?"),
        (number(choices=[1]), "space.x.choices", "[1]",
         "no such field; the fields here are when, type, low, high, scale, step"),
        (STUDY | {"space": {"1x": {"type": "int", "low": 0, "high": 1}}}, "space.1x", "1x",
         "the name of a parameter: a letter or '_', then at most 63 letters, digits and '_'"),
        (STUDY | {"space": {"float": {"type": "float", "low": 0, "high": 1, "float": 3}}}, "space.float.float", 3,
         "no such field; the fields here are when, type, low, high, scale, step"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(body, field, received, expected):
    assert only(StudySpec, body) == (field, received, expected)


CHOICE = "a text, a number, true or false"


@pytest.mark.parametrize(
    ("choices", "field", "received", "expected"),
    [
        ([], "", "[]", "1 or more entries"),
        ("ab", "", "ab", "a list"),
        (["a", "b", "a"], ".2", "a", "choices of which no two are equal; remove the repetition"),
        ([1, 1.0], ".1", 1.0, "choices of which no two are equal; remove the repetition"),
        ([1, None], ".1", None, CHOICE),
        ([{"bool": 1}], ".0", "{'bool': 1}", CHOICE),
        ([math.nan], ".0", "nan", "a finite number; JSON has no NaN and no infinity"),
        ([2**53 + 1], ".0", 2**53 + 1, "a whole number of at most 2**53 in size; write a longer one as a text"),
        (["a\0"], ".0", "a\0", "a text without the character NUL (U+0000); no database could store it"),
        (["\ud800"], ".0", "\\ud800", "a text that can be written as UTF-8; it holds half of a surrogate pair"),
        (["x" * 1001], ".0", "x" * 200, "a text of at most 1000 characters"),
    ],
)
def test_choices_that_make_no_sense_are_refused(choices, field, received, expected):
    body = STUDY | {"space": {"x": {"type": "categorical", "choices": choices}}}
    assert only(StudySpec, body) == (f"space.x.choices{field}", received, expected)


def test_a_great_many_choices_are_refused_or_checked_in_no_time():
    body = {"type": "categorical", "choices": list(range(1025))}
    assert only(StudySpec, STUDY | {"space": {"x": body}})[::2] == ("space.x.choices", "at most 1024 entries")
    body["choices"] = list(range(1024))
    spec = StudySpec.model_validate(STUDY | {"space": {f"x{i}": body for i in range(256)}})
    assert spec.space is not None
    assert len(spec.space) == 256


def test_more_parameters_than_anybody_could_search_are_refused():
    space = {f"x{i}": {"type": "int", "low": 0, "high": 1} for i in range(257)}
    assert only(StudySpec, STUDY | {"space": space})[::2] == ("space", "at most 256 entries")


FLOAT_PARENT = "a categorical or int parent; a real number is hardly ever equal to a listed value"


@pytest.mark.parametrize(
    ("when", "field", "received", "expected"),
    [
        ({"ii": [1]}, ".ii", "ii",
         "the name of a parameter of this space; did you mean 'i'?; add the parent or fix its name"),
        ({"zebra": [1]}, ".zebra", "zebra", "the name of a parameter of this space; add the parent or fix its name"),
        ({"f": [0.5]}, ".f", "f", FLOAT_PARENT),
        ({"c": ["p", "r"]}, ".c.1", "r", "one of 'p', 'q', True, as c can be"),
        ({"c": [1]}, ".c.0", 1, "one of 'p', 'q', True, as c can be"),
        ({"i": [4]}, ".i.0", 4, "a number in [1, 3], as i can be"),
        ({"i": [1.5]}, ".i.0", 1.5, "a whole number, as i can be"),
        ({"i": []}, ".i", "[]", "1 or more entries"),
        ({"i": 1}, ".i", 1, "a list"),
        ({"i": [None]}, ".i.0", None, CHOICE),
        (["i"], "", "['i']", "an object with named entries"),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(when, field, received, expected):
    assert only(StudySpec, conditional(when)) == (f"space.x.when{field}", received, expected)


CIRCLE = "conditions without a circle; remove one of these conditions"


def test_a_parameter_that_waits_for_itself_is_refused():
    assert only(StudySpec, conditional({"x": [1]})) == ("space.x.when", "x → x", CIRCLE)


def test_only_the_members_of_a_circle_are_named():
    a = {"type": "int", "low": 0, "high": 1, "when": {"b": [1]}}
    b = {"type": "int", "low": 0, "high": 1, "when": {"d": [1]}}
    d = {"type": "int", "low": 0, "high": 1, "when": {"c": ["p"], "a": [1]}}
    body = conditional({"a": [1]}, a=a, b=b, d=d)
    assert only(StudySpec, body) == ("space.a.when", "a → b → d → a", CIRCLE)


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
        ({"objective": {"name": "m l p"}}, "objective.name", "m l p",
         "the name of an objective: a letter or '_', then at most 63 letters, digits, '_', '.' and '-'"),
        ({"objective": {"name": "mlp", "options": 1}}, "objective.options", 1,
         "no such field; the fields here are name, config"),
        ({"metric": {"name": "val loss"}}, "metric.name", "val loss",
         "the name of a metric: a letter or '_', then at most 127 letters, digits, '_', '.', '/' and '-'"),
        ({"metric": {"direction": "min"}}, "metric.direction", "min",
         "one of minimize, maximize; did you mean 'minimize'?"),
        ({"strategy": "random"}, "strategy", "random", "an object with named fields"),
        ({"strategy": {}}, "strategy.kind", "nothing", "a value for this required field"),
        ({"strategy": {"kind": "TPE"}}, "strategy.kind", "TPE",
         "the name of a strategy or pruner: 1–40 lower-case letters and '_'"),
        ({"pruner": {"kind": "asha", "x": [math.nan]}}, "pruner.x.0", "nan",
         "a finite number; JSON has no NaN and no infinity"),
        ({"early_stopping": {"patience": 1.5}}, "early_stopping.patience", 1.5,
         "a whole number, written without a decimal point"),
        ({"early_stopping": {"patience": -1}}, "early_stopping.patience", -1, "a number of at least 0"),
        ({"early_stopping": {"min_delta": math.nan}}, "early_stopping.min_delta", "nan", "a finite number"),
        ({"early_stopping": {"baseline": -math.inf}}, "early_stopping.baseline", "-inf", "a finite number"),
        ({"early_stopping": {"mode": "minimise"}}, "early_stopping.mode", "minimise", "one of auto, min, max"),
        ({"early_stopping": {"restore_best": True}}, "early_stopping.restore_best", True,
         "no such field; did you mean 'restore_best_weights'?"),
        ({"early_stopping": {"restore_best_weights": "yes"}}, "early_stopping.restore_best_weights", "yes",
         "true or false"),
        ({"budget": {"max_trials": 0}}, "budget.max_trials", 0, "a number of at least 1"),
        ({"budget": {"max_epochs": 0}}, "budget.max_epochs", 0, "a number of at least 1"),
        ({"budget": {"max_epochs": None}}, "budget.max_epochs", None, "a whole number, written without a decimal point"),
        ({"budget": {"max_epochs": 10**7}}, "budget.max_epochs", 10**7, "a number of at most 1000000"),
        ({"budget": {"max_total_epochs": 0}}, "budget.max_total_epochs", 0, "a number of at least 1"),
        ({"budget": {"max_total_epochs": 2**53}}, "budget.max_total_epochs", 2**53, f"a number below {2**53}"),
        ({"budget": {"max_seconds": 0}}, "budget.max_seconds", 0, "a number above 0"),
        ({"budget": {"max_seconds": math.inf}}, "budget.max_seconds", "inf", "a finite number"),
        ({"budget": {"max_trial_seconds": 0.0}}, "budget.max_trial_seconds", 0.0, "a number above 0"),
        ({"budget": {"max_parallel": 0}}, "budget.max_parallel", 0, "a number of at least 1"),
        ({"budget": {"target": math.nan}}, "budget.target", "nan", "a finite number"),
        ({"budget": {"max_trial": 3}}, "budget.max_trial", 3, "no such field; did you mean 'max_trials'?"),
        ({"budget": {"max_trials": None}}, "budget.max_trials", None,
         "at least one of max_trials, max_total_epochs and max_seconds; a study without any would never end"),
        ({"retries": -1}, "retries", -1, "a number of at least 0"),
        ({"retries": 101}, "retries", 101, "a number of at most 100"),
        ({"retries": "2"}, "retries", "2", "a whole number, written without a decimal point"),
        ({"seed": -1}, "seed", -1, "a number of at least 0"),
        ({"seed": 2**53}, "seed", 2**53, f"a number below {2**53}"),
        ({"seed": 1.0}, "seed", 1.0, "a whole number, written without a decimal point"),
        ({"tags": {"": "x"}}, "tags.", "", "a text of 1 or more characters"),
        ({"tags": {"k": 3}}, "tags.k", 3, "a text"),
        ({"tags": {"k": "v" * 1001}}, "tags.k", "v" * 200, "a text of at most 1000 characters"),
        ({"tags": {"k": "\0"}}, "tags.k", "\0",
         "a text without the character NUL (U+0000); no database could store it"),
        ({"tags": {str(i): "" for i in range(101)}}, "tags", None, "at most 100 entries"),
        ({"tags": ["a"]}, "tags", "['a']", "an object with named entries"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(change, field, received, expected):
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
        ({"a": (1, 2)}, ".a", "(1, 2)",
         "a JSON value: an object, a list, a text, a finite number, true, false or null"),
    ],
)
def test_a_config_that_is_not_plain_json_is_refused(config, field, received, expected):
    body = STUDY | {"objective": {"name": "mlp", "config": config}}
    assert only(StudySpec, body) == (f"objective.config{field}", received, expected)


@pytest.mark.parametrize("key", ["a\0", "\ud800"])
def test_a_config_whose_keys_no_database_could_store_is_refused(key):
    told = "\\ud800" if key == "\ud800" else key
    for path, body in (("objective.config", STUDY | {"objective": {"name": "mlp", "config": {key: 1}}}),
                       ("pruner", STUDY | {"pruner": {"kind": "asha", key: 1}})):
        field, received, expected = only(StudySpec, body)
        assert field.startswith(path)
        assert received == told
        assert expected.startswith("a text ")


@pytest.mark.parametrize("depth", [33, 200, 900, 100_000])
@pytest.mark.parametrize("is_dict", [True, False])
def test_a_body_nested_without_end_is_refused(depth, is_dict):
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if is_dict else [value]
    for body in (STUDY | {"objective": {"name": "mlp", "config": {"c": value}}},
                 STUDY | {"pruner": {"kind": "asha", "c": value}}):
        assert only(StudySpec, body)[2] == "objects and lists nested at most 32 deep"
    assert refused(StudySpec, value)[0].field in ("", "name")
    assert only(StudySpec, STUDY | {"retries": value})[0] == "retries"


def test_a_body_nested_as_deep_as_people_do_is_taken():
    value: Any = 1
    for _ in range(31):
        value = [value]
    StudySpec.model_validate(STUDY | {"objective": {"name": "mlp", "config": {"c": value}}})


def test_an_answer_about_a_huge_body_stays_small():
    body = STUDY | {"objective": {"name": "mlp", "config": {f"k{i}": math.nan for i in range(100_000)}},
                    "x" * 1_000_000: "y" * 1_000_000, "retries": list(range(1_000_000))}
    errors = refused(StudySpec, body)
    problem = InvalidRequest("no", errors=errors).problem()
    assert len(json.dumps(problem)) < 100_000
    assert problem["errors"][-1]["expected"] == "at most 100 are listed"


ITEM: dict[str, Any] = {"trial_id": 1, "lease": "t", "epoch": 1, "metrics": {"val_loss": 0.5}, "elapsed_s": 1.0}
TOKEN = "1–100 visible ASCII characters without a blank"


@pytest.mark.parametrize(
    ("change", "field", "received", "expected"),
    [
        ({"trial_id": 0}, "trial_id", 0, "a number of at least 1"),
        ({"trial_id": "1"}, "trial_id", "1", "a whole number, written without a decimal point"),
        ({"lease": ""}, "lease", "", TOKEN),
        ({"lease": "a b"}, "lease", "a b", TOKEN),
        ({"lease": "t\0"}, "lease", "t\0", TOKEN),
        ({"lease": "\ud800"}, "lease", "\\ud800", "a text that can be written as UTF-8"),
        ({"lease": "t" * 101}, "lease", "t" * 101, TOKEN),
        ({"epoch": 0}, "epoch", 0, "a number of at least 1"),
        ({"epoch": True}, "epoch", True, "a whole number, written without a decimal point"),
        ({"metrics": {}}, "metrics", "{}", "1 or more entries"),
        ({"metrics": {"val_loss": math.nan}}, "metrics.val_loss", "nan", "a finite number"),
        ({"metrics": {"val_loss": "0.5"}}, "metrics.val_loss", "0.5", "a number"),
        ({"metrics": {"val loss": 0.5}}, "metrics.val loss", "val loss",
         "the name of a metric: a letter or '_', then at most 127 letters, digits, '_', '.', '/' and '-'"),
        ({"elapsed_s": -1}, "elapsed_s", -1, "a number of at least 0"),
        ({"elapsed_s": math.inf}, "elapsed_s", "inf", "a finite number"),
        ({"epochs": 1}, "epochs", 1, "no such field; did you mean 'epoch'?"),
    ],
)
def test_a_measurement_that_makes_no_sense_is_refused(change, field, received, expected):
    assert only(Measurement, ITEM | change) == (field, received, expected)
    assert only(Report, {"items": [ITEM, ITEM | change]}) == (f"items.1.{field}", received, expected)


@pytest.mark.parametrize(
    ("model", "body", "field", "expected"),
    [
        (Report, {"items": []}, "items", "1 or more entries"),
        (Report, [ITEM], "", "an object with named fields"),
        (Report, None, "", "an object with named fields"),
        (Claim, {"request_id": "r", "max_trials": 0}, "max_trials", "a number of at least 1"),
        (Claim, {"request_id": "r", "wait_s": 31}, "wait_s", "a number of at most 30"),
        (Claim, {"request_id": "r\n"}, "request_id", TOKEN),
        (Claim, {}, "request_id", "a value for this required field"),
        (Claim, {"request_id": "r", "leases": ["a", ""]}, "leases.1", TOKEN),
        (Finish, {"lease": "t", "outcome": "compleet"}, "outcome",
         "one of complete, failed, diverged, out_of_memory, infeasible; did you mean 'complete'?"),
        (Finish, {"lease": "t", "outcome": "failed", "error": {"kind": "K", "message": "m\0"}}, "error.message",
         "a text without the character NUL (U+0000); no database could store it"),
        (RegisterWorker, {"name": "w", "host": "h", "objectives": []}, "objectives", "1 or more entries"),
        (RegisterWorker, {"name": "w", "host": "h", "objectives": [{"name": "mlp", "space": {"x": {"type": "in"}}}]},
         "objectives.0.space.x.type", "one of float, int, categorical; did you mean 'int'?"),
        (RegisterWorker, {"name": "", "host": "h", "objectives": [{"name": "mlp"}]}, "name",
         "a text of 1 or more characters"),
        (BudgetEdit, {"max_epochs": None}, "max_epochs",
         "a whole number of at least 1; leave it out to keep the present limit"),
        (StudyEdit, {"budget": {"max_trails": 3}}, "budget.max_trails", "no such field; did you mean 'max_trials'?"),
        (NewTrial, {"params": {"x": math.nan}}, "params.x", "a finite number; JSON has no NaN and no infinity"),
        (NewTrial, {"params": {"x": [1]}}, "params.x", CHOICE),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(model, body, field, expected):
    path, _, wanted = only(model, body)
    assert (path, wanted) == (field, expected)


def test_all_refused_fields_of_a_body_are_told_at_once():
    body = {"name": "A", "objective": {"name": "mlp", "config": {"a": math.nan}}, "budget": {"max_trials": 0}, "sed": 1,
            "space": {"x": {"type": "float", "low": 1, "high": 0}, "y": {"type": "int", "low": 0, "high": "1"}}}
    assert {error.field for error in refused(StudySpec, body)} == {
        "name", "objective.config.a", "budget.max_trials", "sed", "space.x.low", "space.y.high",
    }


def test_a_prefix_leads_from_the_request_to_the_validated_part():
    body = {"x": {"type": "flot"}}
    model = type(StudySpec.model_validate(number()).space)
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    assert field_errors(caught.value, body, prefix="study.space")[0].field == "study.space.x.type"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KEYS = ["name", "objective", "metric", "space", "strategy", "budget", "tags", "seed", "config", "kind", "type", "low",
         "high", "choices", "when", "items", "metrics", "lease", "outcome", "error"]


@given(
    model=st.sampled_from([StudySpec, StudyEdit, NewTrial, Report, Claim, Finish, RegisterWorker]),
    body=st.recursive(
        _JSON, lambda inner: st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=3), inner, max_size=6), max_leaves=20
    ),
)
def test_whatever_comes_is_taken_or_refused_in_json(model, body):
    try:
        model.model_validate(body)
    except ValidationError as error:
        told = InvalidRequest("no", errors=field_errors(error, body)).problem()
        assert told["errors"]
        json.dumps(told, allow_nan=False, ensure_ascii=False).encode()
