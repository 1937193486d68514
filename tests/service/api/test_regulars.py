"""Workers that come again and again pass the guards by, but never with anything that the guards have not seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from service.api.express import ShorterWay
from service.api.regulars import LASTS_S, Regulars
from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from tests.databases import Databases
from tests.service.api.conftest import TOKEN

_PATH = "/api/v1/measurements"
_REPORT = {"items": [{"trial_id": 7, "lease": "x" * 32, "epoch": 1, "metrics": {"val_loss": 0.5}, "elapsed_s": 1.0}]}
_HSTS = "strict-transport-security"


class _Guards:
    """Counts what comes to the guards."""

    def __init__(self, app: Any) -> None:
        self.app, self.num_asked = app, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.num_asked += scope["type"] == "http"
        await self.app(scope, receive, send)


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def settings(databases: Databases) -> ServiceSettings:
    return ServiceSettings(
        database_url=databases.ready("sqlite"),
        token=SecretStr(TOKEN),
        allowed_hosts="testserver, elsewhere.example",
        allowed_origins="https://pages.example",
        worker_requests_per_s=1.0,
        burst_s=20.0,
    )


def _shorter(app: FastAPI) -> Any:
    found: Any = app.middleware_stack
    while not isinstance(found, ShorterWay):
        found = getattr(found, "app", None) or found._app
    return found


@pytest.fixture
def guards(app: FastAPI, client: TestClient) -> _Guards:
    shorter = _shorter(app)
    shorter._app = _Guards(shorter._app)
    return shorter._app  # type: ignore[no-any-return]


@pytest.fixture
def clock(app: FastAPI, client: TestClient) -> _Clock:
    made = _Clock()
    _shorter(app)._regulars._monotonic = made
    return made


@pytest.fixture
def regular(client: TestClient, guards: _Guards) -> TestClient:
    """Somebody whose reports pass the guards by, which the guards have not seen since."""
    for _ in range(2):
        client.post(_PATH, json=_REPORT)
    assert guards.num_asked == 1
    guards.num_asked = 0
    return client


def test_a_report_like_one_that_was_let_pass_passes_the_guards_by(regular: TestClient, guards: _Guards) -> None:
    answer = regular.post(_PATH, json=_REPORT)
    assert not guards.num_asked
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_both_ways_answer_alike(regular: TestClient, guards: _Guards) -> None:
    body = {"name": "w", "host": "h", "objectives": [{"name": "o"}]}
    by_guards = regular.post("/api/v1/workers", json=body)
    assert guards.num_asked == 1
    past_them = regular.post("/api/v1/workers", json=body)
    assert guards.num_asked == 1
    assert past_them.status_code == by_guards.status_code == 201
    assert past_them.headers["x-request-id"] != by_guards.headers["x-request-id"]
    differing = {"x-request-id", "content-length"}
    assert dict(past_them.headers).keys() == dict(by_guards.headers).keys()
    assert all(past_them.headers[name] == value for name, value in by_guards.headers.items() if name not in differing)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": "Bearer somebody's-wrong-token"}, 401),
        ({"Authorization": ""}, 401),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Host": "elsewhere.example"}, 404),
        ({"X-Forwarded-For": "192.0.2.1"}, 404),
        ({"Accept": "text/html"}, 404),
        ({"X-Whatever": "1"}, 404),
    ],
    ids=str,
)
def test_whatever_differs_is_looked_at(
    regular: TestClient, guards: _Guards, headers: dict[str, str], status: int
) -> None:
    assert regular.post(_PATH, json=_REPORT, headers=headers).status_code == status
    assert guards.num_asked == 1
    # What was refused never becomes regular.
    assert regular.post(_PATH, json=_REPORT, headers=headers).status_code == status
    assert guards.num_asked == (1 if status == 404 else 2)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/me%61surements", 404), ("/api/v1/%2e/measurements", 400), (f"{_PATH}?x=1", 404), (f"{_PATH}/", 307)],
)
def test_addresses_that_are_not_plain_are_looked_at(
    regular: TestClient, guards: _Guards, path: str, status: int
) -> None:
    for _ in range(2):
        guards.num_asked = 0
        assert regular.post(path, json=_REPORT).status_code == status
        assert guards.num_asked == 1


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"items": [', 422),
        (b"[" * 1000 + b"]" * 1000, 422),
        (b'{"items": [], "x": ' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}", 422),
        (b" " * (17 << 20), 413),
        (b"", 422),
    ],
    ids=["broken", "deep list", "deep object", "long", "empty"],
)
def test_bodies_are_looked_at_each_time(regular: TestClient, guards: _Guards, content: bytes, status: int) -> None:
    answer = regular.post(_PATH, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert guards.num_asked == 1


def test_another_address_is_another_client(app: FastAPI, regular: TestClient, guards: _Guards) -> None:
    other = TestClient(app, headers=dict(regular.headers), client=("192.0.2.7", 1))
    assert other.post(_PATH, json=_REPORT).status_code == 404
    assert guards.num_asked == 1


def test_the_guards_look_again_after_a_while(client: TestClient, guards: _Guards, clock: _Clock) -> None:
    for num_asked in (1, 1):
        client.post(_PATH, json=_REPORT)
        assert guards.num_asked == num_asked
    clock.now += LASTS_S
    client.post(_PATH, json=_REPORT)
    client.post(_PATH, json=_REPORT)
    assert guards.num_asked == 2


def test_a_token_that_was_revoked_opens_nothing_more(app: FastAPI, regular: TestClient) -> None:
    made = regular.post("/api/v1/tokens", json={"name": "gpu", "role": "worker"}).json()
    worker = TestClient(app, headers={"Authorization": f"Bearer {made['secret']}"})
    assert [worker.post(_PATH, json=_REPORT).status_code for _ in range(3)] == [404, 404, 404]
    assert regular.delete(f"/api/v1/tokens/{made['token_id']}").status_code == 204
    assert worker.post(_PATH, json=_REPORT).status_code == 401


def test_a_reader_is_refused_on_both_ways(app: FastAPI, regular: TestClient, guards: _Guards) -> None:
    made = regular.post("/api/v1/tokens", json={"name": "reader", "role": "viewer"}).json()
    reader = TestClient(app, headers={"Authorization": f"Bearer {made['secret']}"})
    guards.num_asked = 0
    assert [reader.post(_PATH, json=_REPORT).status_code for _ in range(3)] == [403, 403, 403]
    assert guards.num_asked == 1


def test_a_browser_never_becomes_a_regular(stranger: TestClient, app: FastAPI) -> None:
    stranger.get(f"/login?token={TOKEN}", headers={"Accept": "text/html"})
    shorter = _shorter(app)
    guards = shorter._app = _Guards(shorter._app)
    for _ in range(3):
        # Its page's own token is missing.
        assert stranger.post(_PATH, json=_REPORT, headers={"Origin": "http://testserver"}).status_code == 403
    assert guards.num_asked == 3


def test_each_request_is_counted_once_whichever_way_it_goes(client: TestClient, guards: _Guards) -> None:
    statuses = [client.post(_PATH, json=_REPORT).status_code for _ in range(21)]
    assert statuses == [404] * 20 + [429]
    assert guards.num_asked == 2


def test_the_page_of_an_allowed_origin_sees_every_answer(regular: TestClient, guards: _Guards) -> None:
    headers = {"Origin": "https://pages.example"}
    answers = [regular.post(_PATH, json=_REPORT, headers=headers) for _ in range(2)]
    assert guards.num_asked == 1
    assert [one.headers["access-control-allow-origin"] for one in answers] == ["https://pages.example"] * 2
    assert "access-control-allow-origin" not in regular.post(_PATH, json=_REPORT).headers


@pytest.fixture
def proxied(databases: Databases) -> Iterator[TestClient]:
    settings = ServiceSettings(
        database_url=databases.ready("sqlite"), token=SecretStr(TOKEN), trusted_proxies="10.0.0.0/8",
        allowed_hosts="caviar.example", access_log=True,
    )  # fmt: skip
    prepare(settings)
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-Host": "caviar.example", "Host": "caviar.example"}
    with TestClient(create_app(settings), headers=headers, client=("10.0.0.1", 1)) as client:
        yield client


def test_what_a_proxy_says_of_its_clients_counts_for_each_of_them(proxied: TestClient) -> None:
    shorter = _shorter(proxied.app)  # type: ignore[arg-type]  # It is the whole application.
    guards = shorter._app = _Guards(shorter._app)
    for number in (1, 2):
        for _ in range(2):
            told = {"X-Forwarded-For": f"192.0.2.{number}", "X-Forwarded-Proto": "https"}
            assert _HSTS in proxied.post(_PATH, json=_REPORT, headers=told).headers
        assert guards.num_asked == number


def test_no_more_are_remembered_than_there_is_room_for(regular: TestClient, app: FastAPI) -> None:
    regulars: Regulars = _shorter(app)._regulars
    [(likeness, passed)] = regulars._known.items()
    regulars._known.update(dict.fromkeys(range(999), passed))
    regular.post(_PATH, json=_REPORT, headers={"X-Whatever": "1"})
    assert len(regulars._known) == 1
    assert likeness not in regulars._known
