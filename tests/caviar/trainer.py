"""A worker that trains nothing: it speaks the worker wire, with losses that the test chooses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2

TOKEN = "a-token-of-the-tests-only"

STUDY: dict[str, Any] = {
    "name": "small",
    "objective": {"name": "mlp", "config": {"dataset": "digits"}},
    "space": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
        "units": {"type": "int", "low": 16, "high": 64},
    },
    "strategy": {"kind": "random"},
    "pruner": {"kind": "none"},
    "early_stopping": None,
    "budget": {"max_trials": 3, "max_epochs": 2},
    "seed": 1,
}


def study(name: str, **changes: Any) -> dict[str, Any]:
    """The small study under another name, with other fields."""
    return STUDY | {"name": name} | changes


@dataclass(frozen=True)
class ServiceProcess:
    """A running `caviar serve`.

    Attributes:
        url: Its address.
    """

    url: str


class Trainer:
    """One registered worker with as many slots as it needs."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http
        body = {"name": "trainer", "host": "here", "slots": 8, "objectives": [{"name": "mlp"}]}
        self._worker_id = self._post("/workers", body)["worker_id"]

    def claim(self, max_trials: int = 1) -> list[dict[str, Any]]:
        body = {"request_id": uuid4().hex, "max_trials": max_trials}
        assigned: list[dict[str, Any]] = self._post(f"/workers/{self._worker_id}:claim", body)["assigned"]
        return assigned

    def report(self, assignment: dict[str, Any], losses: Sequence[float]) -> None:
        items = [
            {
                "trial_id": assignment["trial_id"],
                "lease": assignment["lease"],
                "epoch": epoch,
                "metrics": {"val_loss": loss},
                "elapsed_s": float(epoch),
            }
            for epoch, loss in enumerate(losses, start=1)
        ]
        self._post("/measurements", {"items": items})

    def finish(self, assignment: dict[str, Any], outcome: str = "complete", **fields: Any) -> None:
        body = {"lease": assignment["lease"], "outcome": outcome} | fields
        self._post(f"/trials/{assignment['trial_id']}:finish", body)

    def train(self, losses: Sequence[float]) -> dict[str, Any]:
        """Claim a trial, report an epoch for each loss, and finish it."""
        [assignment] = self.claim()
        self.report(assignment, losses)
        self.finish(assignment)
        return assignment

    def store_weights(self, assignment: dict[str, Any], epoch: int, data: bytes) -> None:
        """Store the weights of an ended trial."""
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Caviar-Lease": assignment["lease"],
            "Caviar-Epoch": str(epoch),
            "Caviar-SHA256": hashlib.sha256(data).hexdigest(),
        }
        path = f"/api/v1/trials/{assignment['trial_id']}/weights"
        assert self._http.put(path, content=data, headers=headers).is_success

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._http.post(f"/api/v1{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.is_success, answer.text
        return answer.json()
