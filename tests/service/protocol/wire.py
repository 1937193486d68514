"""The real application in process: an injected clock, no background loop but ticks on demand, and the worker wire."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.domain.principal import SYSTEM
from service.loops.clockwork import Clockwork
from service.loops.courier import Courier
from service.loops.sweeper import Sweeper
from service.serving import prepare
from service.settings import ServiceSettings

TOKEN = "a-token-for-tests-only"
LEASE_TTL_S = 30.0
# The background loop takes a longer pause for an outage of the service, after which nobody is blamed for silence.
_TICK_S = 5.0
PREFIX = "/api/v1"
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
_names = itertools.count()
T = TypeVar("T")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        """The time as a clock tells it that is never set."""
        return self.now.timestamp()

    def advance(self, seconds: float) -> None:
        """Move forward."""
        self.now += timedelta(seconds=seconds)


class Wire:
    """What people and workers can ask of the service, as JSON in and JSON out.

    Attributes:
        clock: The service's clock.
        app: The application.
        client: For requests that have no method here.
    """

    def __init__(self, database_url: str, *, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self._settings = ServiceSettings(
            database_url=database_url, token=TOKEN, lease_ttl_s=LEASE_TTL_S, allowed_hosts="testserver"
        )
        self._running = contextlib.ExitStack()
        prepare(self._settings)
        self.start()

    def start(self) -> None:
        """Bring the service up."""
        self.app = app = create_app(self._settings, clock=self.clock)
        self._clockwork = Clockwork(app.state.service, monotonic=self.clock.seconds)
        self.service, self.keeper = app.state.service.acting_for(SYSTEM), app.state.keeper.acting_for(SYSTEM)
        client = TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False)
        self.client = self._running.enter_context(client)
        self.tick()

    def stop(self) -> None:
        """Take the service down."""
        self._running.close()

    def restart(self) -> None:
        """Take the service down and bring it up again on the same database."""
        self.stop()
        self.start()

    def tick(self) -> None:
        """Let the background loop go round once."""
        portal = self.client.portal
        assert portal is not None
        portal.call(self._clockwork.tick)

    def sweep(self) -> None:
        """Let the loop that removes files go round once, as after a start."""
        portal = self.client.portal
        assert portal is not None
        portal.call(Sweeper(self.keeper).sweep)

    def advance(self, seconds: float) -> None:
        """Let time pass while the background loop goes round."""
        left = seconds
        while left > 0:
            self.clock.advance(min(left, _TICK_S))
            self.tick()
            left -= _TICK_S

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and parsed body of an answer."""
        response = self.client.request(method, PREFIX + path, json=body)
        return response.status_code, response.json() if response.content else None

    def get(self, path: str) -> Any:
        """The answer to a reading request that succeeds."""
        return self._done(self.ask("GET", path))

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to a writing request that succeeds."""
        return self._done(self.ask("POST", path, body))

    def refused(self, method: str, path: str, body: Any = None) -> str:
        """Status and code of a request that does not succeed."""
        status, answer = self.ask(method, path, body)
        assert status >= 400, answer
        assert answer["status"] == status
        return f"{status} {answer['code']}"

    def study(self, *, objective: str | None = None, **changes: Any) -> str:
        """Create a study that only its own objective's workers serve, and return its name."""
        name = f"s{next(_names)}"
        body = {
            "name": name,
            "objective": {"name": objective or name},
            "space": SPACE,
            "strategy": {"kind": "random"},
            "pruner": {"kind": "none"},
            "early_stopping": None,
            "budget": {"max_trials": 3, "max_epochs": 5},
        }
        self.worker(objective or name)
        self.post("/studies", body | changes)
        return name

    def worker(self, *objectives: str, slots: int = 1, name: str = "w", **changes: Any) -> str:
        """Register a worker and return its id."""
        offers = [{"name": objective, "space": SPACE} for objective in objectives]
        body = {"name": name, "host": "h", "slots": slots, "objectives": offers}
        answer = self.post("/workers", body | changes)
        assert answer["lease_ttl_s"] == LEASE_TTL_S
        return str(answer["worker_id"])

    def claim(self, worker: str, max_trials: int = 1, *, request: str | None = None, knows: Any = ()) -> list[Any]:
        """Assignments of a claim.

        Args:
            worker: Its id.
            max_trials: How many at most.
            request: Its id; a new one each time if left out.
            knows: Assignments that the worker knows it holds.
        """
        body = {
            "request_id": request or f"r{next(_names)}",
            "max_trials": max_trials,
            "leases": [assignment["lease"] for assignment in knows],
        }
        return list(self.post(f"/workers/{worker}:claim", body)["assigned"])

    def begin_claim(self, worker: str, wait_s: float, *, knows: Any = ()) -> Future[list[Any]]:
        """Assignments of a claim that waits for work; returns once the service has begun to answer it."""
        return self._begin_claim(worker, wait_s, lambda answer: list(answer["assigned"]), knows)

    def begin_claim_for_mode(self, worker: str, wait_s: float) -> Future[str]:
        """The mode that a claim which waits for work ends with; returns once the service has begun to answer it."""
        return self._begin_claim(worker, wait_s, lambda answer: str(answer["mode"]))

    def _begin_claim(self, worker: str, wait_s: float, look: Callable[[Any], T], knows: Any = ()) -> Future[T]:
        body = {"request_id": f"r{next(_names)}", "wait_s": wait_s, "leases": [entry["lease"] for entry in knows]}
        future: Future[T] = Future()

        def ask() -> None:
            try:
                future.set_result(look(self.post(f"/workers/{worker}:claim", body)))
            except BaseException as error:  # noqa: BLE001  # Whoever waits for the future gets it.
                future.set_exception(error)

        threading.Thread(target=ask, daemon=True).start()
        deadline = time.monotonic() + 30
        while body["request_id"] not in self._waiting(worker) and not future.done():
            assert time.monotonic() < deadline
        return future

    def _waiting(self, worker: str) -> list[str]:
        return [claim[0] for (claimant, _), claim in list(self.service.claims.items()) if claimant == worker]

    def claim_one(self, worker: str, *, knows: Any = ()) -> Any:
        """The one assignment that there must be."""
        [assignment] = self.claim(worker, knows=knows)
        return assignment

    def report(self, assignment: Any, epoch: int, value: float = 0.5) -> str:
        """What is decided after one epoch: `continue`, `pause`, `stop`, or status and code of a refusal."""
        status, answer = self.ask("POST", "/measurements", {"items": [item(assignment, epoch, value)]})
        if status != 200:
            return f"{status} {answer['code']}"
        [decision] = answer["decisions"]
        assert decision["trial_id"] == assignment["trial_id"]
        return str(decision["decision"])

    def finish(self, assignment: Any, outcome: str = "complete", **changes: Any) -> str:
        """The trial's state after a finish, or status and code of a refusal."""
        body: dict[str, Any] = {"lease": assignment["lease"], "outcome": outcome, **changes}
        if outcome != "complete" and "error" not in changes:
            body["error"] = {"kind": "E", "message": "m"}
        return self._state(self.ask("POST", f"/trials/{assignment['trial_id']}:finish", body))

    def release(self, assignment: Any, **changes: Any) -> str:
        """The trial's state after a release, or status and code of a refusal."""
        body = {"lease": assignment["lease"]} | changes
        return self._state(self.ask("POST", f"/trials/{assignment['trial_id']}:release", body))

    def heartbeat(self, worker: str, *assignments: Any) -> list[str]:
        """Tokens that are lost."""
        body = {"leases": [assignment["lease"] for assignment in assignments]}
        return list(self.post(f"/workers/{worker}:heartbeat", body)["lost"])

    def trial(self, assignment: Any) -> Any:
        """A trial in full."""
        return self.get(f"/trials/{assignment['trial_id']}")

    def stored(self, trial_id: int, *, attempts: str = "current") -> list[tuple[int, int, float]]:
        """Attempt, epoch and value of a trial's measurements."""
        items = self.get(f"/trials/{trial_id}/measurements?attempts={attempts}")["items"]
        return [(entry["attempt"], entry["epoch"], entry["metrics"]["val_loss"]) for entry in items]

    @staticmethod
    def _done(answered: tuple[int, Any]) -> Any:
        status, answer = answered
        assert status < 300, (status, answer)
        return answer

    @staticmethod
    def _state(answered: tuple[int, Any]) -> str:
        status, answer = answered
        return str(answer["state"]) if status == 200 else f"{status} {answer['code']}"


def item(assignment: Any, epoch: int, value: float = 0.5, **metrics: float) -> dict[str, Any]:
    """One measurement of a report."""
    return {
        "trial_id": assignment["trial_id"],
        "lease": assignment["lease"],
        "epoch": epoch,
        "metrics": {"val_loss": value, **metrics},
        "elapsed_s": float(epoch),
    }


@contextlib.contextmanager
def running(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The service on a database, with a background loop that goes round only when told to."""

    async def do_nothing(_loop: Clockwork | Courier | Sweeper) -> None:
        """Stand in for a loop, whose rounds the tests call for themselves."""

    monkeypatch.setattr(Clockwork, "run", do_nothing)
    monkeypatch.setattr(Courier, "run", do_nothing)
    monkeypatch.setattr(Sweeper, "run", do_nothing)
    wire = Wire(database_url)
    try:
        yield wire
    finally:
        wire.stop()
