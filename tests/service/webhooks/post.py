"""Webhooks of one test, as their owner, the background loop and the receiver see them."""

from __future__ import annotations

from typing import Any

import orjson

from service.loops.courier import Courier
from tests.service.outbound.receiver import Receiver
from tests.service.protocol.wire import Wire

EVENTS = ["new_best", "study_done", "failure_storm", "stagnation"]


class Post:
    """Webhooks that tell one receiver."""

    def __init__(self, wire: Wire, receiver: Receiver) -> None:
        self.wire = wire
        self.receiver = receiver

    def create(self, *events: str, **changes: Any) -> int:
        """A new webhook that tells the receiver of these events; of all if there are none. Returns its id."""
        body = {"name": "tests", "url": self.receiver.url, "events": list(events) or EVENTS}
        return int(self.wire.post("/webhooks", body | changes)["webhook"]["webhook_id"])

    @property
    def courier(self) -> Courier:
        """The loop that sends, which goes round only when it is told to."""
        app: Any = self.wire.client.app
        courier: Courier = app.state.courier
        return courier

    def go_round(self) -> int:
        """Let the loop go round once and wait until what it sends is settled; returns how many messages it took."""
        portal = self.wire.client.portal
        assert portal is not None
        num_taken: int = portal.call(self.courier.round)
        portal.call(self.courier.settled)
        return num_taken

    def deliveries(self, webhook_id: int, **query: Any) -> list[Any]:
        """Deliveries of a webhook, the newest first."""
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return list(self.wire.get(f"/webhooks/{webhook_id}/deliveries?{asked}")["items"])

    def messages(self) -> list[Any]:
        """Bodies that the receiver has got so far, in order."""
        return [orjson.loads(one.body) for one in self.receiver.received]

    def trained(self, *curves: list[float], outcome: str = "complete", **changes: Any) -> str:
        """A study that trained some trials; returns its name."""
        body: dict[str, Any] = {"budget": {"max_trials": 100, "max_epochs": 9}, "retries": 0}
        name = self.wire.study(**(body | changes))
        self.train(name, *curves, outcome=outcome)
        return name

    def train(self, name: str, *curves: list[float], outcome: str = "complete") -> None:
        """Train more trials of a study, each to its end."""
        worker = self.wire.worker(name)
        for curve in curves:
            assignment = self.wire.claim_one(worker)
            for epoch, value in enumerate(curve, start=1):
                self.wire.report(assignment, epoch, value)
            self.wire.finish(assignment, outcome)
