"""What the OpenAPI document says of refusals is what is answered."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from caviar.contract.errors import kinds
from service.api import refusals

_METHODS = ("get", "post", "put", "patch", "delete")


def _operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operations[method]["operationId"]: operations[method]
        for operations in document["paths"].values()
        for method in _METHODS
        if method in operations
    }


def _statuses(document: dict[str, Any], operation: str) -> set[int]:
    return {int(status) for status in _operations(document)[operation]["responses"]}


def test_every_operation_lists_its_answers_one_by_one(document: dict[str, Any]) -> None:
    known = document["components"]["responses"]
    for name, operation in _operations(document).items():
        assert "default" not in operation["responses"], name
        references = [answer["$ref"] for answer in operation["responses"].values() if "$ref" in answer]
        assert references, name
        assert {reference.rpartition("/")[2] for reference in references} <= set(known), name


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("read_health", {200, 503}),
        ("list_studies", {200, 401, 403, 422, 503}),
        ("read_study", {200, 401, 403, 404, 422, 503}),
        ("create_study", {200, 201, 400, 401, 403, 404, 409, 413, 422, 503}),
        ("preview_study", {200, 400, 401, 403, 404, 413, 422, 503}),
        ("read_importances", {200, 401, 403, 404, 409, 422, 503}),
        ("finish_trial", {200, 400, 401, 403, 404, 409, 410, 413, 422, 503}),
        ("store_weights", {200, 201, 400, 401, 403, 404, 409, 410, 413, 422, 503, 507}),
    ],
)
def test_the_answers_of_an_operation(document: dict[str, Any], operation: str, statuses: set[int]) -> None:
    assert _statuses(document, operation) >= statuses


def test_every_kind_of_error_is_told_but_the_one_that_is_a_defect(document: dict[str, Any]) -> None:
    told = document["components"]["responses"].values()
    codes = {
        code
        for answer in told
        for code in answer["content"][refusals.MEDIA_TYPE]["schema"]["properties"]["code"]["enum"]
    }
    assert codes == {kind.code for kind in kinds()} - {"internal_error"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/studies/nobody", 404),
        ("GET", "/studies?limit=0", 422),
        ("GET", "/studies?q=%00", 422),
        ("GET", "/studies/a%00b", 404),
        ("POST", "/studies/nobody:clone", 422),
        ("PUT", "/studies", 405),
    ],
)
def test_an_answer_is_as_its_schema_says(
    document: dict[str, Any], client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, f"/api/v1{path}")
    assert answer.status_code == status
    components = document["components"]
    told = components["responses"][f"Refused{status}"]
    validator = Draft202012Validator({**told["content"][refusals.MEDIA_TYPE]["schema"], "components": components})
    assert not list(validator.iter_errors(answer.json()))
    assert answer.headers["content-type"] == refusals.MEDIA_TYPE
    assert {name for name, header in told.get("headers", {}).items() if header["required"]} <= set(answer.headers)


def test_the_examples_are_as_their_schemas_say(document: dict[str, Any]) -> None:
    components = document["components"]
    for status, told in components["responses"].items():
        content = told["content"][refusals.MEDIA_TYPE]
        validator = Draft202012Validator({**content["schema"], "components": components})
        assert not list(validator.iter_errors(content["example"])), status


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/studies", "GET, POST"),
        ("/api/v1/studies/a", "DELETE, GET, PATCH"),
        ("/api/v1/studies/a:pause", "POST"),
        ("/api/v1/trials/1", "GET, PATCH"),
        ("/api/v1/trials/1:stop", "POST"),
        ("/api/v1/workers/a:drain", "POST"),
        ("/api/v1/workers:demand", "GET"),
    ],
)
def test_a_wrong_method_hears_the_right_ones(client: TestClient, path: str, allowed: str) -> None:
    answer = client.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("moment", ["0.5", "1764460800", "2026-11-21", "now", "-1", "1e300"])
def test_a_time_is_written_out(client: TestClient, moment: str) -> None:
    assert client.get(f"/api/v1/studies/a/timeline?from={moment}").status_code == 422


def test_links_lead_to_operations_with_these_parameters(document: dict[str, Any]) -> None:
    operations = _operations(document)
    links = [
        link for operation in operations.values() for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]  # fmt: skip
    assert len(links) > 50
    for link in links:
        names = {parameter["name"] for parameter in operations[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= names, link
