"""The short way of workers' requests answers as the long way does, and leaves to it whatever is not plain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.testclient import TestClient

from service.api import worker_routes
from service.api.express import Express, ShortWay
from tests.databases import Databases
from tests.service.protocol.wire import Wire, item


@pytest.fixture
def wire(databases: Databases) -> Iterator[Wire]:
    made = Wire(databases.ready("sqlite"))
    yield made
    made.stop()


class _LongWay:
    """Counts what comes to it."""

    def __init__(self, app: Any) -> None:
        self.app, self.paths = app, list[str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        await self.app(scope, receive, send)


@pytest.fixture
def long_way(wire: Wire) -> _LongWay:
    """What the short way lets pass."""
    express: Any = wire.client.app.middleware_stack  # type: ignore[attr-defined]
    while not isinstance(express, ShortWay):
        express = getattr(express, "app", None) or express._app
    express._app = _LongWay(express._app)
    return express._app


def _same(answers: list[Any]) -> bool:
    # All but the id of the request.
    first, *others = [(one.status_code, {**one.json(), "request_id": None}) for one in answers]
    return all(one == first for one in others)


def test_a_plain_request_takes_the_short_way_and_gets_the_same_answer(wire: Wire, long_way: _LongWay) -> None:
    wire.study()
    worker = wire.worker("o")
    wire.study(objective="o")
    long_way.paths.clear()
    assignment = wire.claim_one(worker)
    bodies = {
        f"/workers/{worker}:claim": {"request_id": "again", "leases": [assignment["lease"]], "max_trials": 1},
        f"/workers/{worker}:heartbeat": {"leases": [assignment["lease"]]},
        "/measurements": {"items": [item(assignment, 1)]},
        f"/trials/{assignment['trial_id']}:finish": {"lease": assignment["lease"], "outcome": "complete"},
    }
    for path, body in bodies.items():
        short = wire.client.post(f"/api/v1{path}", json=body)
        assert short.status_code == 200, short.text
        assert not long_way.paths
        # A query, even an empty one, is not plain.
        long = wire.client.post(f"/api/v1{path}?x=1", json=body)
        assert long_way.paths.pop()
        assert _same([short, long])
        assert short.headers["content-type"] == long.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "content", "headers"),
    [
        ("/measurements", b'{"items": []}', {}),
        ("/measurements", b'{"items": [', {}),
        ("/measurements", b"\xff\xfe", {}),
        ("/measurements", b"", {}),
        ("/measurements", b'{"items": []}', {"Content-Type": "text/plain"}),
        ("/workers/none:claim", b"{}", {}),
        ("/trials/0:finish", b'{"lease": "x", "outcome": "complete"}', {}),
        ("/trials/one:finish", b'{"lease": "x", "outcome": "complete"}', {}),
        (f"/workers/{'w' * 37}:heartbeat", b"{}", {}),
        ("/workers:claim", b"{}", {}),
        ("/measurements:claim", b"{}", {}),
    ],
)
def test_what_is_not_plain_takes_the_long_way(
    wire: Wire, long_way: _LongWay, path: str, content: bytes, headers: dict[str, str]
) -> None:
    answer = wire.client.post(f"/api/v1{path}", content=content, headers={"Content-Type": "application/json"} | headers)
    assert 400 <= answer.status_code < 500
    assert answer.json()["status"] == answer.status_code
    assert long_way.paths == [f"/api/v1{path}"]


def test_errors_of_handlers_are_problems_on_the_short_way_too(wire: Wire, long_way: _LongWay) -> None:
    body = {"lease": "nobody's", "outcome": "complete"}
    refused = wire.client.post("/api/v1/trials/999:finish", json=body)
    assert not long_way.paths
    assert refused.status_code == 404
    assert refused.headers["content-type"] == "application/problem+json"
    assert _same([refused, wire.client.post("/api/v1/trials/999:finish?x=1", json=body)])


def test_a_body_in_many_pieces_arrives_whole(wire: Wire, long_way: _LongWay) -> None:
    worker = wire.worker("o")
    pieces = (bytes([byte]) for byte in b'{"request_id": "r", "max_trials": 1}')
    answer = wire.client.post(
        f"/api/v1/workers/{worker}:claim", content=pieces, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200
    assert not long_way.paths


def test_nobody_takes_the_short_way_without_a_token(wire: Wire) -> None:
    answer = TestClient(wire.client.app).post("/api/v1/measurements", json={"items": []})
    assert answer.status_code == 401


def test_all_routes_of_workers_go_the_short_way() -> None:
    express = Express(service=None, router=worker_routes.router, prefix="/api/v1")  # type: ignore[arg-type]
    assert len(express.stops) == len(worker_routes.router.routes)


class _Body(BaseModel):
    x: int = 0


def test_a_route_that_asks_for_more_is_refused() -> None:
    router = APIRouter()

    @router.post("/things")
    async def make(service: Any, body: _Body, query: int = 0) -> _Body:
        raise NotImplementedError

    with pytest.raises(ValueError, match="query"):
        Express(service=None, router=router, prefix="")  # type: ignore[arg-type]


def test_a_route_of_another_shape_is_refused() -> None:
    router = APIRouter()

    @router.get("/things/deep")
    async def read(service: Any) -> _Body:
        raise NotImplementedError

    with pytest.raises(ValueError, match="expected POST"):
        Express(service=None, router=router, prefix="")  # type: ignore[arg-type]
