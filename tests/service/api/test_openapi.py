"""The OpenAPI document: complete, with an example everywhere, and changed only on purpose."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from caviar.contract import identity, messages, ranking, study, webhooks
from service.api.examples import ANSWERS, BODIES

_SNAPSHOT = Path(__file__).with_name("openapi.json")
_METHODS = ("get", "post", "patch", "put", "delete")
_ADDRESS = "/api/v1/openapi.json"
_PATIENCE_S = 30.0


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [item[method] for item in document["paths"].values() for method in _METHODS if method in item]


def test_the_document_is_the_one_of_the_snapshot(document: dict[str, Any]) -> None:
    told = json.loads(json.dumps(document))
    told["info"]["version"] = "0"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        _SNAPSHOT.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    # After a change that is meant: UPDATE_SNAPSHOTS=1 pytest tests/service/api/test_openapi.py
    assert told == json.loads(_SNAPSHOT.read_text())


def test_every_operation_is_described_and_has_examples(document: dict[str, Any]) -> None:
    operations = _operations(document)
    assert len(operations) >= 28
    for operation in operations:
        assert operation["summary"], operation
        assert operation["description"], operation
        if "requestBody" in operation and "application/octet-stream" not in operation["requestBody"]["content"]:
            assert operation["requestBody"]["content"]["application/json"]["example"]
        good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert all("example" in content for answer in good for content in answer.get("content", {}).values())


def test_no_example_is_left_over(document: dict[str, Any]) -> None:
    names = {operation["operationId"] for operation in _operations(document)}
    assert set(BODIES) <= names
    assert set(ANSWERS) == names - {"delete_study", "delete_webhook", "revoke_token"}


def _schemas(document: dict[str, Any]) -> list[tuple[str, dict[str, Any], Any]]:
    found = []
    for operation in _operations(document):
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [answer.get("content", {}) for status, answer in operation["responses"].items() if status[0] == "2"]
        for content in contents:
            body = content.get("application/json", {})
            if "schema" in body:
                found.append((operation["operationId"], body["schema"], body["example"]))
    return found


def test_the_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    checked = 0
    for name, schema, example in _schemas(document):
        validator = Draft202012Validator({**schema, "components": document["components"]})
        errors = [error.message for error in validator.iter_errors(example)]
        assert not errors, (name, errors)
        checked += 1
    assert checked > 30


@pytest.mark.parametrize("name", sorted(BODIES))
def test_the_examples_of_bodies_are_accepted_by_their_models(name: str) -> None:
    models: dict[str, type[BaseModel]] = {
        "create_token": identity.NewToken,
        "rotate_token": identity.Rotation,
        "share_study": identity.NewShare,
        "create_study": study.StudySpec,
        "preview_study": study.StudySpec,
        "edit_study": study.StudyEdit,
        "clone_study": study.CloneStudy,
        "retest_study": ranking.Retest,
        "annotate_trial": ranking.Annotation,
        "enqueue_trial": study.NewTrial,
        "import_trials": study.ImportTrials,
        "open_round": study.OpenRound,
        "register_worker": messages.RegisterWorker,
        "claim_trials": messages.Claim,
        "send_heartbeat": messages.Heartbeat,
        "report_measurements": messages.Report,
        "finish_trial": messages.Finish,
        "release_trial": messages.Release,
        "create_webhook": webhooks.NewWebhook,
        "edit_webhook": webhooks.WebhookEdit,
        "rotate_webhook": webhooks.NewSecret,
    }
    assert models[name].model_validate(BODIES[name]) is not None


def test_the_document_is_told_as_it_is(app: FastAPI, client: TestClient) -> None:
    first, again = client.get(_ADDRESS), client.get(_ADDRESS)
    assert first.headers["content-type"] == "application/json"
    assert first.json() == again.json() == json.loads(json.dumps(app.openapi()))
    assert client.head(_ADDRESS).is_success


def test_others_are_answered_while_the_document_is_made_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, was_answered, waited = threading.Event(), threading.Event(), []

    def slow(**facts: Any) -> dict[str, Any]:
        begun.set()
        waited.append(was_answered.wait(_PATIENCE_S))
        return get_openapi(**facts)

    monkeypatch.setattr("service.api.openapi.get_openapi", slow)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(client.get, _ADDRESS) for _ in range(2)]
        assert begun.wait(_PATIENCE_S)
        assert client.get("/healthz").is_success
        was_answered.set()
        assert all(future.result().is_success for future in asked)
    assert waited == [True]
