"""The error tree crosses the wire and comes back as what it was."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from caviar.contract import errors
from caviar.contract.errors import (
    CaviarError,
    FieldError,
    InvalidRequest,
    LeaseLost,
    RequestError,
    Unavailable,
    field_errors,
    from_problem,
    shown,
)

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CaviarError)]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.code)
def test_an_error_comes_back_from_its_problem_body_as_what_it_was(kind: Any) -> None:
    error = kind("it went wrong", errors=[FieldError(field="a.b", received=[math.nan], expected="a number")])
    body = json.loads(json.dumps(error.problem(), allow_nan=False))
    back = from_problem(body, error.status)
    assert type(back) is kind
    assert (back.detail, back.errors, str(back), back.problem()) == (
        error.detail,
        error.errors,
        str(error),
        error.problem(),
    )


def test_codes_name_one_class_each_and_statuses_are_those_of_errors() -> None:
    assert len({kind.code for kind in TREE}) == len(TREE)
    assert all(400 <= kind.status < 600 for kind in TREE)
    assert all(kind.__doc__ and kind.title and kind.code.islower() for kind in TREE)


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.code)
def test_errors_are_divided_by_what_the_caller_can_do(kind: Any) -> None:
    # Whoever is too fast or too slow has only to send the same request again.
    is_at_fault = kind.status < 500 and kind.status not in (408, 429) and kind is not LeaseLost
    assert issubclass(kind, RequestError) == is_at_fault


@pytest.mark.parametrize(
    ("body", "status", "kind", "detail"),
    [
        ("<html>Bad gateway</html>", 502, Unavailable, "<html>Bad gateway</html>"),
        ({"message": "slow down"}, 429, Unavailable, "the service answered with status 429"),
        ({"detail": "no"}, 404, RequestError, "no"),
        ({"code": "of another kind", "detail": {"a": 1}}, 400, RequestError, "{'a': 1}"),
        (None, 500, Unavailable, "None"),
        ([], 418, RequestError, "[]"),
    ],
)
def test_an_answer_that_is_no_problem_body_of_ours_is_shown_as_it_is(
    body: Any, status: Any, kind: Any, detail: Any
) -> None:
    error = from_problem(body, status)
    assert (type(error), error.detail, error.errors) == (kind, detail, ())


def test_malformed_fields_in_a_problem_body_are_shown_as_they_are() -> None:
    error = from_problem({"code": "invalid_request", "errors": [{"field": 3}, "x"]}, 422)
    assert isinstance(error, InvalidRequest)
    assert [entry.received for entry in error.errors] == ["{'field': 3}", "x"]
    assert from_problem({"code": "invalid_request", "errors": "many"}, 422).errors == ()


def test_a_failure_of_the_service_tells_where_its_log_tells_more() -> None:
    failed = from_problem({"code": "unavailable", "detail": "away", "request_id": "r-12345678"}, 503)
    assert failed.request_id == "r-12345678"
    assert str(failed) == "away\n  request id, to be found in the service's log: r-12345678"
    refused = from_problem({"code": "not_found", "detail": "none", "request_id": "r-12345678"}, 404)
    assert (refused.request_id, str(refused)) == ("r-12345678", "none")
    assert from_problem({"code": "not_found", "request_id": 7}, 404).request_id is None


def test_more_errors_than_anybody_reads_are_counted() -> None:
    many = [FieldError(field=str(i), received=i, expected="none") for i in range(250)]
    told = InvalidRequest("no", errors=many).problem()["errors"]
    assert len(told) == 101
    assert told[-1] == {"field": "", "received": "150 more refused fields", "expected": "at most 100 are listed"}
    assert len(InvalidRequest("no", errors=many[:100]).problem()["errors"]) == 100


def test_an_error_prints_its_fields_line_by_line() -> None:
    error = InvalidRequest(
        "2 fields",
        errors=[
            FieldError(field="a", received="1", expected="a number"),
            FieldError(field="", received=None, expected="a body"),
        ],
    )
    assert str(error) == "2 fields\n  a: received '1', expected a number\n  body: received None, expected a body"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (-(10**999), "-1" + "0" * 198),
        (10**5000, "a whole number of 16610 bits"),
        (1.5, 1.5),
        (math.inf, "inf"),
        ("x" * 300, "x" * 200),
        ("\udc00", "\\udc00"),
        ({"a": [1, 2]}, "{'a': [1, 2]}"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
    ],
    ids=range(12),
)
def test_refused_values_are_shown_in_json_and_shortened(value: Any, expected: Any) -> None:
    assert (shown(value), type(shown(value))) == (expected, type(expected))


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(), st.lists))
def test_whatever_was_refused_can_be_shown_and_showing_it_twice_changes_nothing(value: Any) -> None:
    once = shown(value)
    text = json.dumps(once, allow_nan=False, ensure_ascii=False)
    assert len(text.encode()) < 5000
    assert shown(once) == once


class Options(BaseModel):
    """A model outside the contract, as a sampler's options are."""

    size: int | str
    rate: float


def test_unions_of_other_models_are_told_as_one_field() -> None:
    body = {"size": [1], "rate": "fast"}
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(body)
    told = {(error.field, error.expected) for error in field_errors(caught.value, body, prefix="strategy")}
    assert told == {
        ("strategy.size", "a whole number, written without a decimal point, or a text"),
        ("strategy.rate", "a valid number, unable to parse string as a number"),
    }


def test_errors_of_types_without_a_model_are_told_too() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[int]).validate_python([1, [2], {}])
    assert [error.field for error in field_errors(caught.value, [1, [2], {}])] == ["1", "2"]


def test_errors_in_sequences_that_are_no_lists_are_told_by_position() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, tuple[list[int], ...]]).validate_python({"a": ([1], ["x"])})
    assert [error.field for error in field_errors(caught.value, {"a": ([1], ["x"])})] == ["a.1.0"]
