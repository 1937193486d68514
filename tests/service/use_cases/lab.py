"""Studies of one test, as their owner and a worker see them."""

from __future__ import annotations

from typing import Any

from service.store import events, studies
from service.store.transaction import Event
from tests.service.protocol.wire import Wire

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
}


class Lab:
    """Studies of one test: they share an objective that no other test has."""

    def __init__(self, wire: Wire, objective: str) -> None:
        self.wire = wire
        self.objective = objective

    def study(self, **changes: Any) -> str:
        """A new study in the common space."""
        return self.wire.study(objective=self.objective, **({"space": SPACE} | changes))

    def take(self, name: str, source: str) -> Any:
        """The answer to an import of another study."""
        return self.wire.post(f"/studies/{name}/trials:import", {"study": source})

    def offer(self, name: str, *items: Any) -> Any:
        """The answer to an import of trials in full."""
        return self.wire.post(f"/studies/{name}/trials:import", {"items": list(items)})

    def claim(self, max_trials: int = 1) -> list[Any]:
        """What a new worker gets."""
        return self.wire.claim(self.wire.worker(self.objective), max_trials)

    def train(self, name: str, params: dict[str, Any], *values: float) -> None:
        """Train a configuration by hand."""
        self.wire.post(f"/studies/{name}/trials", {"params": params})
        [assignment] = self.claim()
        for epoch, value in enumerate(values, start=1):
            self.wire.report(assignment, epoch, value)
        self.wire.finish(assignment)

    def source(self) -> str:
        """A paused study with results inside and outside of the narrow space, and a trial that runs."""
        name = self.study(budget={"max_trials": 5, "max_epochs": 5})
        self.train(name, {"x": 0.25, "kind": "a"}, 0.9, 0.3)
        self.train(name, {"x": 0.75, "kind": "b"}, 0.8)
        self.wire.post(f"/studies/{name}/trials", {"params": {"x": 0.125, "kind": "b"}})
        assert len(self.claim()) == 1
        self.wire.post(f"/studies/{name}:pause")
        return name

    def trial(self, name: str, number: int) -> Any:
        """A trial of a study."""
        return self.wire.get(f"/studies/{name}/trials")["items"][number]

    def study_id(self, name: str) -> int:
        """Key of a study in the database."""
        with self.wire.service.reading() as tx:
            return int(studies.get(tx, name).id)

    def events(self, name: str) -> list[Event]:
        """Everything that has happened in a study."""
        with self.wire.service.reading() as tx:
            return events.since(tx, self.study_id(name), 0, 10_000)
