"""A worker that follows a script: it moves trials over the wire, epoch by epoch, as a test says."""

from __future__ import annotations

import itertools
from typing import Any

import httpx2

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log", "when": {"optimizer": ["adam"]}},
    "units": {"type": "int", "low": 16, "high": 512, "scale": "log"},
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
}
_requests = itertools.count()


def study_body(name: str, **changes: Any) -> dict[str, Any]:
    """A study that proposes at random and stops nobody, with changes."""
    body = {
        "name": name,
        "objective": {"name": "Line"},
        "space": SPACE,
        "strategy": {"kind": "random"},
        "pruner": {"kind": "none"},
        "early_stopping": None,
        "budget": {"max_trials": 10, "max_epochs": 8},
        "retries": 0,
        "seed": 3,
    }
    return body | changes


class ScriptedWorker:
    """A registered worker.

    Attributes:
        http: Reaches the service with an access token.
        objective: The one that it offers, and that its studies train.
        worker_id: From the registration.
    """

    def __init__(self, http: httpx2.Client, name: str = "box-1", objective: str = "Line") -> None:
        """Register it."""
        self.http = http
        self.objective = objective
        offer = {"name": name, "host": "box", "slots": 4, "objectives": [{"name": objective}]}
        self.worker_id = self.post("/workers", offer)["worker_id"]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a message and return the answer."""
        response = self.http.post(f"/api/v1{path}", json=body)
        assert response.status_code < 300, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def submit(self, name: str, **changes: Any) -> str:
        """Create a study and return its name."""
        self.post("/studies", study_body(name, **{"objective": {"name": self.objective}} | changes))
        return name

    def claim(self, max_trials: int = 1) -> list[dict[str, Any]]:
        """Take trials."""
        body = {"request_id": f"request-{next(_requests)}", "max_trials": max_trials}
        assigned: list[dict[str, Any]] = self.post(f"/workers/{self.worker_id}:claim", body)["assigned"]
        assert len(assigned) == max_trials
        return assigned

    def report(self, trial: dict[str, Any], *values: float, first: int = 1, checkpoint: bool = False) -> None:
        """Report values of successive epochs."""
        items = [
            {
                "trial_id": trial["trial_id"],
                "lease": trial["lease"],
                "epoch": epoch,
                "metrics": {"val_loss": value, "loss": value * 0.9},
                "elapsed_s": 2.0 * epoch,
                "checkpoint": checkpoint,
            }
            for epoch, value in enumerate(values, start=first)
        ]
        self.post("/measurements", {"items": items})

    def finish(self, trial: dict[str, Any], outcome: str = "complete", **error: str) -> None:
        """End a trial."""
        body = {"lease": trial["lease"], "outcome": outcome, "error": error or None}
        self.post(f"/trials/{trial['trial_id']}:finish", body)
