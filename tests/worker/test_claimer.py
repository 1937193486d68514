"""Registration, claims and heartbeats when the service stumbles."""

from __future__ import annotations

import json
import queue
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from caviar.contract.errors import InvalidRequest, NotFound, Unauthorized
from caviar.contract.fleet import Device, SlotFacts
from caviar.contract.messages import OfferedObjective, RegisterWorker
from caviar.contract.states import SlotState, WorkerMode
from tests.worker.wire import DEADLINE_S, assignment
from worker.api import WorkerApi
from worker.backoff import Backoff
from worker.checkpoints.shelf import Shelf
from worker.claimer import Claimer
from worker.events import Answered, LeaseGone, ModeTold, Refused
from worker.heart import Heart
from worker.membership import Membership
from worker.outbox import Outbox

REGISTERED: dict[str, Any] = {"worker_id": "w1", "lease_ttl_s": 0.05}
Answer = dict[str, Any] | Exception


class Script:
    """A service that answers each route with the next answer of a list, its last one for ever."""

    def __init__(self, **answers: list[Answer]) -> None:
        self.answers: dict[str, list[Answer]] = {"workers": [REGISTERED], **answers}
        self.requests: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        client = httpx2.Client(base_url="http://service", transport=httpx2.MockTransport(self._answer))
        self.api = WorkerApi(client)
        body = RegisterWorker(name="w", host="h", objectives=[OfferedObjective(name="mlp")])
        self.membership = Membership(self.api, body)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        route = request.url.path.rpartition(":")[2].rpartition("/")[2]
        self.requests.put((route, json.loads(request.content)))
        left = self.answers[route]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, (NotFound, Unauthorized, InvalidRequest)):
            return httpx2.Response(answer.status, json=answer.problem())
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(200, json=answer)

    def next(self, route: str) -> dict[str, Any]:
        """The body of the next request of a route."""
        while True:
            asked, body = self.requests.get(timeout=DEADLINE_S)
            if asked == route:
                return body


CLAIMED: Answer = {"assigned": [assignment().model_dump(mode="json")], "retry_after_s": 0.0, "mode": "paused"}


@pytest.fixture
def claim() -> Iterator[Callable[[Script], Answered | Refused]]:
    """Asks once and waits for the event."""
    started: list[Claimer] = []

    def ask(script: Script) -> Answered | Refused:
        events: queue.SimpleQueue[Answered | Refused] = queue.SimpleQueue()
        claimer = Claimer(script.api, script.membership, events.put, Backoff(random.Random(1), first_s=0.001))
        claimer.start()
        started.append(claimer)
        claimer.ask(max_trials=2, wait_s=0.0, leases=["mine"], is_idle=True)
        return events.get(timeout=DEADLINE_S)

    yield ask
    for claimer in started:
        claimer.stop()


def test_a_claim_is_repeated_as_the_same_request_until_it_is_answered(
    claim: Callable[[Script], Answered | Refused],
) -> None:
    script = Script(claim=[httpx2.ConnectError("no route"), httpx2.ReadTimeout("slow"), CLAIMED])
    event = claim(script)
    assert event == Answered((assignment(),), 0.0, True, WorkerMode.PAUSED)
    bodies = [script.next("claim") for _ in range(3)]
    assert bodies[0] == bodies[1] == bodies[2]
    assert (bodies[0]["max_trials"], bodies[0]["leases"]) == (2, ["mine"])


def test_a_forgotten_worker_registers_again(claim: Callable[[Script], Answered | Refused]) -> None:
    script = Script(claim=[NotFound("no worker w1"), CLAIMED])
    assert isinstance(claim(script), Answered)
    routes = [script.requests.get_nowait()[0] for _ in range(4)]
    assert routes == ["workers", "claim", "workers", "claim"]


@pytest.mark.parametrize("error", [Unauthorized("no token"), InvalidRequest("odd name"), NotFound("no such route")])
def test_a_service_that_does_not_want_it_is_left(
    claim: Callable[[Script], Answered | Refused], error: Exception
) -> None:
    event = claim(Script(workers=[error]))
    assert isinstance(event, Refused)
    assert str(error) in event.detail


def test_a_refused_claim_of_a_registered_worker_is_repeated(claim: Callable[[Script], Answered | Refused]) -> None:
    assert isinstance(claim(Script(claim=[Unauthorized("rotated"), CLAIMED])), Answered)


def test_an_unexpected_crash_is_told_and_not_waited_for(claim: Callable[[Script], Answered | Refused]) -> None:
    assert isinstance(claim(Script(claim=[ZeroDivisionError("surprise")])), Refused)


def test_the_heart_renews_tells_what_is_lost_and_beats_on_after_trouble(tmp_path: Path) -> None:
    fine: Answer = {"lost": []}
    # The service is asked about the checkpoints 5 and 7; that it names 6 as well is no order.
    lost: Answer = {"lost": ["b"], "discard": [5, 6], "mode": "draining"}
    script = Script(heartbeat=[fine, NotFound("no worker w1"), lost, fine])
    shelf = Shelf(tmp_path / "resume")
    for trial_id in (5, 7):
        shelf.path(trial_id, 2).parent.mkdir(parents=True)
        shelf.path(trial_id, 2).touch()
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.hold(1, "a")
    outbox.hold(2, "b")
    events: queue.SimpleQueue[LeaseGone | ModeTold] = queue.SimpleQueue()
    slot = SlotFacts(index=0, state=SlotState.IDLE)
    device = Device(kind="cpu", name="a CPU")
    heart = Heart(
        script.api, script.membership, outbox, shelf, events.put, devices=lambda: [device], slots=lambda: [slot]
    )
    heart.start()
    assert [events.get(timeout=DEADLINE_S) for _ in range(3)] == [
        ModeTold(WorkerMode.WORKING), ModeTold(WorkerMode.DRAINING), LeaseGone("b", "lease_lost"),
    ]  # fmt: skip
    beats = [script.next("heartbeat") for _ in range(4)]
    assert [beat["leases"] for beat in beats] == [["a", "b"]] * 3 + [["a"]]
    assert [(beat["devices"][0]["name"], beat["slots"][0]["state"]) for beat in beats] == [("a CPU", "idle")] * 4
    assert [beat["checkpoints"] for beat in beats] == [[5, 7]] * 3 + [[7]]
    heart.stop()
    assert outbox.leases() == ["a"]
