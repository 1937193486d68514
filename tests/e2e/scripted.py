"""A worker that speaks the wire to a real service and makes up its curves instead of training."""

from __future__ import annotations

import threading
from typing import Any

import httpx2

from caviar.contract.messages import Assignment, Claim, Claimed, Finish, Measurement, RegisterWorker, Report
from caviar.contract.states import Decision, Outcome
from tests.e2e.processes import TOKEN, Site
from worker.api import WorkerApi


class ScriptedWorker:
    """Follows the worker protocol, checkpoints included, one trial at a time."""

    def __init__(self, url: str, name: str, *, flavour: int = 0) -> None:
        self._http = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"})
        self._api = WorkerApi(self._http)
        body = RegisterWorker.model_validate({"name": name, "host": "here", "objectives": [{"name": "mlp"}]})
        self._id = self._api.register(body).worker_id
        self._num_claims = 0
        self._flavour = flavour

    def train(self, limit: int) -> int:
        """Train trials until there are none or the limit is reached; returns how many."""
        for done in range(limit):
            claimed = self.claim()
            if not claimed.assigned:
                return done
            self._train_one(claimed.assigned[0])
        return limit

    def claim(self) -> Claimed:
        """Ask for a trial."""
        self._num_claims += 1
        return self._api.claim(self._id, Claim(request_id=f"{self._id}-{self._num_claims}"))

    def _train_one(self, trial: Assignment) -> None:
        for epoch in range(trial.first_epoch, trial.max_epochs + 1):
            item: dict[str, Any] = {"trial_id": trial.trial_id, "lease": trial.lease, "epoch": epoch, "elapsed_s": 0.1}
            item["metrics"] = {"val_loss": 1.0 / epoch + (trial.number * 31 + self._flavour * 17) % 97 / 97}
            item["checkpoint"] = epoch in trial.checkpoint_epochs
            answer = self._api.report(Report(items=[Measurement.model_validate(item)]))
            if answer.decisions[0].decision is not Decision.CONTINUE:
                return
        self._api.finish(trial.trial_id, Finish(lease=trial.lease, outcome=Outcome.COMPLETE))

    def close(self) -> None:
        """Hang up."""
        self._http.close()


def train_with(here: Site, num_workers: int, limit: int) -> None:
    """Train with several workers at once, each up to a limit of claims; each measures other values."""
    workers = [ScriptedWorker(here.url, f"scripted-{i}", flavour=i) for i in range(num_workers)]
    threads = [threading.Thread(target=worker.train, args=(limit,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in workers:
        worker.close()
