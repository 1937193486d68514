"""Every refusal of a search space names the field, what came and what was expected."""

from __future__ import annotations

import math
from typing import Any

import pytest

from caviar.contract.study import StudySpec
from tests.caviar.contract.refusing import CHOICE, STUDY, conditional, integer, number, only

FIX = "exchange low and high, or fix the value in the objective's config instead of searching it"


SMALLER = "use a smaller step, or scale linear"
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
        (
            number(scale="reverse_log"),
            "space.x.high",
            1.0,
            f"a number in the domain of scale reverse_log (0 <= x < 1); {DOMAIN}",
        ),
        (
            number(low=-0.1, high=0.9, scale="1-beta"),
            "space.x.low",
            -0.1,
            f"a number in the domain of scale reverse_log (0 <= x < 1); {DOMAIN}",
        ),
        (
            number(high=0.5, scale="logit"),
            "space.x.low",
            0.0,
            f"a number in the domain of scale logit (0 < x < 1); {DOMAIN}",
        ),
        (
            number(low=0.5, scale="logit"),
            "space.x.high",
            1.0,
            f"a number in the domain of scale logit (0 < x < 1); {DOMAIN}",
        ),
        (
            number(step=2),
            "space.x.step",
            2.0,
            "a step of at most high - low (1.0); this space is too small for its grid",
        ),
        (
            number(step=0.3),
            "space.x.high",
            1.0,
            "low plus a whole number of steps, such as 0.9; the last step would not end at high",
        ),
        (
            integer(step=3),
            "space.x.high",
            10,
            "low plus a whole number of steps, such as 9; the last step would not end at high",
        ),
        (
            integer(step=11),
            "space.x.step",
            11,
            "a step of at most high - low (10); this space is too small for its grid",
        ),
        (
            number(low=1e15, high=1e15 + 8, step=0.125),
            "space.x.step",
            0.125,
            "a step that tells neighbouring values apart in floating point; use a larger step or a range nearer to 0",
        ),
        (
            integer(low=-(2**53), high=2**53, step=1),
            "space.x.step",
            1,
            "a step that tells neighbouring values apart in floating point; use a larger step or a range nearer to 0",
        ),
        (
            integer(low=1, high=11, step=2, scale="log"),
            "space.x.step",
            2,
            f"a step whose half does not reach beyond the domain of scale log (x > 0); {SMALLER}",
        ),
        (
            number(low=0.5, high=0.9, step=0.4, scale="reverse_log"),
            "space.x.step",
            0.4,
            f"a step whose half does not reach beyond the domain of scale reverse_log (0 <= x < 1); {SMALLER}",
        ),
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
        (
            STUDY | {"space": {"x": {"low": 0, "high": 1}}},
            "space.x.type",
            "nothing",
            "a value for this required field, which says what kind of object this is",
        ),
        (
            STUDY | {"space": {"x": {"type": "float", "low": 0}}},
            "space.x.high",
            "nothing",
            "a value for this required field",
        ),
        (STUDY | {"space": {"x": 3}}, "space.x", 3, "an object with named fields"),
        (STUDY | {"space": []}, "space", "[]", "an object with named entries"),
        (STUDY | {"space": {}}, "space", "{}", "1 or more entries"),
        (number(scal="log"), "space.x.scal", "log", "no such field; did you mean 'scale'?"),
        (
            number(choices=[1]),
            "space.x.choices",
            "[1]",
            "no such field; the fields here are when, type, low, high, scale, step",
        ),
        (
            STUDY | {"space": {"1x": {"type": "int", "low": 0, "high": 1}}},
            "space.1x",
            "1x",
            "the name of a parameter: a letter or '_', then at most 63 letters, digits and '_'",
        ),
        (
            STUDY | {"space": {"float": {"type": "float", "low": 0, "high": 1, "float": 3}}},
            "space.float.float",
            3,
            "no such field; the fields here are when, type, low, high, scale, step",
        ),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(body: Any, field: Any, received: Any, expected: Any) -> None:
    assert only(StudySpec, body) == (field, received, expected)


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
def test_choices_that_make_no_sense_are_refused(choices: Any, field: Any, received: Any, expected: Any) -> None:
    body = STUDY | {"space": {"x": {"type": "categorical", "choices": choices}}}
    assert only(StudySpec, body) == (f"space.x.choices{field}", received, expected)


def test_a_great_many_choices_are_refused_or_checked_in_no_time() -> None:
    body = {"type": "categorical", "choices": list(range(1025))}
    assert only(StudySpec, STUDY | {"space": {"x": body}})[::2] == ("space.x.choices", "at most 1024 entries")
    body["choices"] = list(range(1024))
    spec = StudySpec.model_validate(STUDY | {"space": {f"x{i}": body for i in range(256)}})
    assert spec.space is not None
    assert len(spec.space) == 256


def test_more_parameters_than_anybody_could_search_are_refused() -> None:
    space = {f"x{i}": {"type": "int", "low": 0, "high": 1} for i in range(257)}
    assert only(StudySpec, STUDY | {"space": space})[::2] == ("space", "at most 256 entries")


FLOAT_PARENT = "a categorical or int parent; a real number is hardly ever equal to a listed value"


@pytest.mark.parametrize(
    ("when", "field", "received", "expected"),
    [
        (
            {"ii": [1]},
            ".ii",
            "ii",
            "the name of a parameter of this space; did you mean 'i'?; add the parent or fix its name",
        ),
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
def test_a_condition_that_can_never_hold_is_refused(when: Any, field: Any, received: Any, expected: Any) -> None:
    assert only(StudySpec, conditional(when)) == (f"space.x.when{field}", received, expected)


CIRCLE = "conditions without a circle; remove one of these conditions"


def test_a_parameter_that_waits_for_itself_is_refused() -> None:
    assert only(StudySpec, conditional({"x": [1]})) == ("space.x.when", "x → x", CIRCLE)


def test_only_the_members_of_a_circle_are_named() -> None:
    a = {"type": "int", "low": 0, "high": 1, "when": {"b": [1]}}
    b = {"type": "int", "low": 0, "high": 1, "when": {"d": [1]}}
    d = {"type": "int", "low": 0, "high": 1, "when": {"c": ["p"], "a": [1]}}
    body = conditional({"a": [1]}, a=a, b=b, d=d)
    assert only(StudySpec, body) == ("space.a.when", "a → b → d → a", CIRCLE)
