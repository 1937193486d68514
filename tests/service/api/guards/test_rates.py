"""How many requests one client may make."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.guards.rates import Limits, Rates, Strangers
from service.domain.principal import Principal, Role
from tests.service.api.guards.asking import HOST, Answer, Behind, ask

TOKEN = ("Authorization", "Bearer right")
WRONG = ("Authorization", "Bearer wrong")
LIMITS = Limits(
    requests_per_s=2.0,
    worker_requests_per_s=10.0,
    stranger_requests_per_s=3.0,
    failures_per_s=2.0,
    burst_s=1.0,
    max_streams=3,
    max_streams_each=2,
)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Stands still."""
    return Clock()


def _authenticating(app: ASGIApp) -> ASGIApp:
    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if headers.get(b"authorization") == b"Bearer right":
            scope.setdefault("state", {})["principal"] = Principal("ann", Role.ADMIN, token_id=1)
            await app(scope, receive, send)
            return
        status = 200 if scope["path"].startswith("/static") else 303 if b"accept" in headers else 401
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return authenticated


@pytest.fixture
def app(clock: Clock) -> ASGIApp:
    """Counts before and after it knows who asks."""
    return Strangers(_authenticating(Rates(Behind(), limits=LIMITS, clock=clock)), limits=LIMITS, clock=clock)


def _statuses(call: Callable[[], Answer], times: int) -> list[int]:
    return [call().status for _ in range(times)]


def test_a_token_has_a_burst_and_a_rate(app: ASGIApp, clock: Clock) -> None:
    assert _statuses(lambda: ask(app, "/api/v1/studies", HOST, TOKEN), 3) == [200, 200, 429]
    refused = ask(app, "/api/v1/studies", HOST, TOKEN)
    assert refused.problem["code"] == "rate_limited"
    assert refused.headers["retry-after"] == "1"
    clock.now += 0.5
    assert _statuses(lambda: ask(app, "/", HOST, TOKEN), 2) == [200, 429]


def test_workers_are_counted_apart(app: ASGIApp) -> None:
    assert _statuses(lambda: ask(app, "/api/v1/studies", HOST, TOKEN), 3)[-1] == 429
    statuses = _statuses(lambda: ask(app, "/api/v1/measurements", HOST, TOKEN, method="POST"), 11)
    assert statuses == [200] * 10 + [429]


def test_strangers_are_counted_by_their_address(app: ASGIApp) -> None:
    assert _statuses(lambda: ask(app, "/static/x", HOST), 4) == [200, 200, 200, 429]
    assert ask(app, "/static/x", HOST, client="192.0.2.1").status == 200
    assert ask(app, "/healthz", HOST).status == 401, "what probes ask is not counted"
    assert ask(app, "/api/v1/studies", HOST, TOKEN).status == 200


@pytest.mark.parametrize("headers", [(WRONG,), (WRONG, ("Accept", "text/html"))])
def test_guesses_are_slowed_down_and_lock_nobody_out(
    app: ASGIApp, clock: Clock, headers: tuple[tuple[str, str], ...]
) -> None:
    assert ask(app, "/x", HOST, TOKEN).status == 200
    first = _statuses(lambda: ask(app, "/x", HOST, *headers), 3)
    assert first[:2] in ([401, 401], [303, 303])
    assert first[2] == 429
    assert ask(app, "/static/x", HOST, WRONG).status == 429, "also where no token is needed"
    assert ask(app, "/x", HOST, TOKEN).status == 200, "one that has proved right is not held up"
    clock.now += 0.6
    assert _statuses(lambda: ask(app, "/x", HOST, *headers), 2)[1] == 429


def test_what_needs_no_token_proves_none_right(app: ASGIApp) -> None:
    assert ask(app, "/static/x", HOST, WRONG).status == 200
    assert _statuses(lambda: ask(app, "/x", HOST, WRONG), 3) == [401, 401, 429]


def test_the_form_counts_its_failures(app: ASGIApp) -> None:
    statuses = _statuses(lambda: ask(app, "/login", HOST, method="POST"), 3)
    assert statuses == [401, 401, 429]


def test_streams_and_waiting_claims_have_a_number() -> None:
    asyncio.run(_streams())


async def _streams() -> None:
    opened = asyncio.Event()

    async def lasting(scope: Scope, receive: Receive, send: Send) -> None:
        await opened.wait()

    rates = Rates(lasting, limits=replace(LIMITS, worker_requests_per_s=0.0))
    told: list[int] = []

    async def call(path: str, token_id: int) -> None:
        async def send(message: dict[str, int]) -> None:
            told.extend([message["status"]] if "status" in message else [])

        scope: Scope = {
            "type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"",
            "state": {"principal": Principal("ann", Role.ADMIN, token_id=token_id)},
        }  # fmt: skip
        await rates(scope, _nothing, send)  # type: ignore[arg-type]

    calls = [("/studies/x/live", 1), ("/api/v1/studies/x/events", 1), ("/studies/x/live", 1), ("/studies/x/live", 2)]
    calls += [("/studies/x/live", 3)] + [("/api/v1/workers/w:claim", 4)] * 17
    tasks = [asyncio.ensure_future(call(*one)) for one in calls]
    for _ in range(3):
        await asyncio.sleep(0)
    assert told == [429, 503, 429]
    opened.set()
    await asyncio.gather(*tasks)
    assert not rates._open
    assert rates._num_streams == 0


async def _nothing() -> dict[str, str]:
    return {"type": "http.disconnect"}
