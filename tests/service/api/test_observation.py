"""Each request has an id, by which its log lines and its problem are found."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service import logs
from service.api.observation import HEADER
from service.settings import ServiceSettings
from service.store.transaction import Transaction
from service.use_cases.service import Service
from tests.service.api.conftest import TOKEN

_MINE = "mine-0123456789.a:b_c"


class Lines:
    """Log lines as a service writes them."""

    def __init__(self) -> None:
        self.stream = StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def named(self, event: str) -> list[dict[str, Any]]:
        """The lines of an event."""
        lines = [json.loads(line) for line in self.text.splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What is logged during a test, at every level."""
    found, root = Lines(), logging.getLogger()
    before, level = root.handlers, root.level
    monkeypatch.setattr("sys.stderr", found.stream)
    logs.configure("debug", "json")
    for name in ("asyncio", "httpx2", "httpcore2", "python_multipart"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.INFO)
    yield found
    root.handlers = before
    root.setLevel(level)


def test_an_answer_carries_the_id_of_its_request(client: TestClient) -> None:
    first, second = client.get("/api/v1/studies"), client.get("/healthz")
    assert len(first.headers[HEADER]) >= 8
    assert first.headers[HEADER] != second.headers[HEADER]
    assert client.get("/api/v1/studies", headers={HEADER: _MINE}).headers[HEADER] == _MINE


def test_an_odd_id_is_not_taken_over(client: TestClient) -> None:
    for odd in ("short", "x" * 65, "with space!", "ümlaut-ümlaut", "a\tbbbbbbbb", '"><script>alert(1)'):
        answer = client.get("/healthz", headers=[(HEADER.encode(), odd.encode())])
        [given] = answer.headers.get_list(HEADER)
        assert given != odd


def test_a_problem_tells_the_id(client: TestClient) -> None:
    for path, status in (("/api/v1/studies/none", 404), ("/api/v1/studies?limit=0", 422), ("/api/v1/no", 404)):
        answer = client.get(path, headers={HEADER: _MINE})
        assert answer.status_code == status
        assert answer.json()["request_id"] == _MINE == answer.headers[HEADER]
    answer = client.get("/api/v1/studies", headers={HEADER: _MINE, "Authorization": "Bearer nothing"})
    assert answer.status_code == 401
    assert answer.json()["request_id"] == _MINE == answer.headers[HEADER]


def test_a_failure_of_ours_tells_the_id_and_is_logged_with_it(app: FastAPI, client: TestClient, lines: Lines) -> None:
    service: Service = app.state.service

    @app.get("/api/v1/studies/{name}/breaks/{trial_id}")
    def fail(name: str, trial_id: int) -> None:
        def operation(tx: Transaction) -> None:
            raise ArithmeticError(f"trial {trial_id} of {name} cannot be divided")

        service.write(operation)

    answer = client.get("/api/v1/studies/digits/breaks/7", headers={HEADER: _MINE})
    assert answer.status_code == 500
    assert answer.json()["request_id"] == _MINE
    assert answer.headers.get_list(HEADER) == [_MINE]
    assert "divided" not in answer.text
    [failed] = lines.named("api.failed")
    assert failed["request_id"] == _MINE
    assert failed["principal"] == "admin"
    assert (failed["study"], failed["trial_id"]) == ("digits", "7")
    assert failed["route"] == "GET /api/v1/studies/{name}/breaks/{trial_id}"
    assert "ArithmeticError: trial 7 of digits" in failed["exception"]
    assert [line["status"] for line in lines.named("request.failed")] == [500]


def test_what_the_writer_and_threads_log_belongs_to_the_request(app: FastAPI, client: TestClient, lines: Lines) -> None:
    service: Service = app.state.service

    @app.get("/writes")
    def write() -> None:
        service.write(lambda tx: logging.getLogger("of.the.writer").info("written"))

    @app.get("/submits")
    async def submit() -> None:
        await service.submit(lambda tx: logging.getLogger("of.the.writer").info("submitted"))

    for path in ("/writes", "/submits"):
        assert client.get(path, headers={HEADER: f"id-of-{path[1:]}"}).status_code == 200
    assert [line["request_id"] for line in lines.named("written")] == ["id-of-writes"]
    assert [line["request_id"] for line in lines.named("submitted")] == ["id-of-submits"]


@pytest.fixture
def settings(settings: ServiceSettings) -> ServiceSettings:
    """Settings under which much is logged."""
    return settings.model_copy(update={"slow_request_s": 0.001, "access_log": True})


def test_slow_requests_are_logged(client: TestClient, lines: Lines) -> None:
    client.get("/api/v1/studies?limit=3", headers={HEADER: _MINE})
    [line] = lines.named("request.slow")
    assert (line["request_id"], line["route"], line["status"]) == (_MINE, "GET /api/v1/studies", 200)
    assert line["seconds"] > 0
    [line] = lines.named("request")
    assert (line["request_id"], line["path"]) == (_MINE, "/api/v1/studies")


def test_no_secret_is_logged(client: TestClient, stranger: TestClient, lines: Lines) -> None:
    other = "another-token-that-nobody-knows"
    stranger.get("/login", params={"token": other})
    signed_in = stranger.get("/login", params={"token": TOKEN})
    session = signed_in.cookies["caviar_session"]
    stranger.post("/login", data={"token": TOKEN})
    stranger.get("/studies", headers={"Authorization": f"Bearer {other}"})
    worker = client.post(
        "/api/v1/workers", json={"name": "w", "host": "h", "slots": 1, "objectives": [{"name": "mlp"}]}
    ).json()
    client.post(f"/api/v1/workers/{worker['worker_id']}:heartbeat", json={"leases": ["a-lease-of-somebody-else"]})
    client.post("/api/v1/trials/1:finish", json={"lease": "a-lease-of-somebody-else", "outcome": "complete"})
    client.get(f"/api/v1/studies?token={other}")
    assert len(lines.named("request")) == 8
    assert not [secret for secret in (TOKEN, other, session, "a-lease-of-somebody-else") if secret in lines.text]
