"""What an engine reads from the service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from caviar.contract.errors import Unauthorized, Unavailable
from caviar.contract.states import WorkerMode
from caviar.contract.views import Demand, Workers, WorkerView
from worker.engines.demand import MEMBER_LABEL, Seen, Service, Standing

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def worker(member: str | None = None, **changes: Any) -> WorkerView:
    values: dict[str, Any] = {
        "worker_id": "w", "name": "box-1", "host": "box", "slots": 2, "devices": [], "objectives": ["mlp"],
        "running": [], "is_alive": True, "registered_at": NOW, "seen_at": NOW,
        "labels": {} if member is None else {MEMBER_LABEL: member},
    }  # fmt: skip
    return WorkerView(**{**values, **changes})


def service(*workers: WorkerView, num_wanted: int = 0) -> Service:
    answers = {
        "/api/v1/workers:demand": Demand(num_running=0, num_wanted=num_wanted).model_dump_json(),
        "/api/v1/workers": Workers(items=list(workers)).model_dump_json(),
    }
    return answering(lambda request: httpx2.Response(200, text=answers[request.url.path]))


def answering(answer: Any) -> Service:
    return Service(httpx2.Client(base_url="http://service.example", transport=httpx2.MockTransport(answer)))


def standing(*workers: WorkerView, num_wanted: int = 0) -> Standing:
    return service(*workers, num_wanted=num_wanted).standing(lambda member: member in {"a", "b"})


def test_own_workers_are_known_by_their_label() -> None:
    assert standing(worker("a", running=[1]), worker("b"), worker("another-engines"), worker()).members == {
        "a": Seen("box-1", 2, is_idle=False),
        "b": Seen("box-1", 2, is_idle=True),
    }


def test_a_worker_that_was_placed_anew_counts_once() -> None:
    former, today = worker("a", name="lost", is_alive=False), worker("a", name="today")
    assert standing(today, former).members["a"].name == "today"
    assert standing(former).members == {}


def test_what_others_train_needs_no_worker_here() -> None:
    assert standing(worker(running=[1, 2]), worker("a", running=[3]), num_wanted=5).num_wanted == 3


def test_a_paused_worker_takes_nothing_new() -> None:
    assert standing(worker("a", running=[3], mode=WorkerMode.PAUSED)).members["a"].num_slots == 1


def test_idle_means_nothing_waits_and_nothing_trains() -> None:
    assert standing(worker("a")).is_idle
    assert not standing(worker("a", running=[1])).is_idle
    assert not standing(worker("a"), num_wanted=1).is_idle


def test_a_service_that_is_away_is_told_from_one_that_refuses() -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("nobody listens", request=request)

    problem = {"type": "about:blank", "title": "t", "status": 401, "code": "unauthorized", "detail": "wrong token"}
    with pytest.raises(Unavailable, match="cannot be reached"):
        answering(fail).standing(bool)
    with pytest.raises(Unauthorized, match="wrong token"):
        answering(lambda _: httpx2.Response(401, json=problem)).standing(bool)
    with pytest.raises(Unavailable, match="bad gateway"):
        answering(lambda _: httpx2.Response(502, text="bad gateway")).standing(bool)
    with pytest.raises(Unavailable, match="is no Demand"):
        answering(lambda _: httpx2.Response(200, json={"hello": "there"})).standing(bool)
