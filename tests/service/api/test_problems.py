"""Every refusal is an RFC 9457 problem that says what came and what was expected."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.examples import BODIES

_STUDIES = "/api/v1/studies"


def _body(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(BODIES["create_study"]), **changes}


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"name": "No Slug"}, "name", "slug"),
        ({"objective": {"name": "mpl"}}, "objective.name", "mlp"),
        ({"objective": {"name": "mlp", "config": {"datset": "digits"}}}, "objective.config.datset", "dataset"),
        ({"budget": {"max_trials": 0}}, "budget.max_trials", "1"),
        ({"strategy": {"kind": "coarse"}}, "strategy.kind", "coarse_to_fine"),
        ({"strategy": {"kind": "random", "speed": 3}}, "strategy.speed", "random has no options"),
        ({"pruner": {"kind": "asha", "reduction_factor": 1}}, "pruner.reduction_factor", "2"),
        ({"spaces": {}}, "spaces", "space"),
    ],
)
def test_a_refused_study_names_the_field(
    client: TestClient, changes: dict[str, Any], field: str, expected: str
) -> None:
    answer = client.post(_STUDIES, json=_body(**changes))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    (error,) = problem["errors"]
    assert error["field"] == field
    assert expected in error["expected"]
    assert client.get(_STUDIES).json()["items"] == []


@pytest.mark.parametrize("text", ["", "{", "[1,", "nonsense", '{"name": "a", }'])
def test_text_that_is_no_json_is_said_to_be_none(client: TestClient, text: str) -> None:
    answer = client.post(_STUDIES, content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(client: TestClient, number: str) -> None:
    text = f'{{"name": "x", "objective": {{"name": "mlp"}}, "budget": {{"target": {number}}}}}'
    answer = client.post(_STUDIES, content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["budget.target"]


def test_a_parameter_of_the_address_is_refused_by_name(client: TestClient) -> None:
    answer = client.get("/api/v1/studies/x/leaderboard?limit=0")
    assert [error["field"] for error in answer.json()["errors"]] == ["limit"]
    assert client.get("/api/v1/trials/nonsense").status_code == 422


def test_paths_and_methods_that_do_not_exist(client: TestClient) -> None:
    assert client.get("/api/v1/nothing").json()["code"] == "not_found"
    assert client.delete("/api/v1/studies").json()["code"] == "method_not_allowed"


def test_a_body_beyond_all_measure_is_refused(client: TestClient) -> None:
    answer = client.post(_STUDIES, content=b" " * (17 * 2**20), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_browser_gets_a_page(client: TestClient) -> None:
    answer = client.get("/studies/none", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
