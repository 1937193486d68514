"""A service that has something of everything: studies and trials in every state, files, workers, events."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx2

from tests.service.web.trials import ScriptedWorker

_HALVING = {"kind": "asha", "min_resource": 2, "reduction_factor": 2}
_BOUNDED = {"kind": "threshold", "upper": 0.9}
_EPOCHS = 8


@dataclass
class Scenery:
    """What requests can be about.

    Attributes:
        studies: Names of studies.
        trials: Ids of trials.
        workers: Ids of workers.
        leases: Tokens of trials in training, by trial.
    """

    studies: list[str] = field(default_factory=list)
    trials: list[int] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    leases: dict[int, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self)


def furnish(http: httpx2.Client) -> Scenery:
    """Fill a service.

    Args:
        http: Reaches the service with the administrator's token.
    """
    scenery = Scenery()
    for name in ("busy", "halving", "paused", "stopped", "done", "empty"):
        worker = ScriptedWorker(http, name=f"box-{name}", objective=f"Of-{name}")
        scenery.workers.append(worker.worker_id)
        num_trials = 4 if name == "done" else 12
        pruner = _HALVING if name == "halving" else _BOUNDED
        worker.submit(name, pruner=pruner, budget={"max_trials": num_trials, "max_epochs": _EPOCHS})
        if name == "halving":
            _pause(worker)
        elif name != "empty":
            _train(worker, scenery, is_left=name != "done")
        scenery.studies.append(name)
    for path in ("paused:pause", "stopped:stop"):
        assert http.post(f"/api/v1/studies/{path}").is_success
    for name in scenery.studies:
        page = http.get(f"/api/v1/studies/{name}/trials?limit=100").json()
        scenery.trials += [trial["trial_id"] for trial in page["items"]]
    return scenery


def _pause(worker: ScriptedWorker) -> None:
    """Four trials that wait at a rung, with their checkpoints."""
    for rank, trial in enumerate(worker.claim(4), start=2):
        _store(worker, trial, "checkpoints/2")
        worker.report(trial, 0.1 * rank, 0.1 * rank, checkpoint=True)


def _train(worker: ScriptedWorker, scenery: Scenery, *, is_left: bool) -> None:
    """Four trials with different ends: complete with its weights, pruned, failed, and left in training or complete."""
    first, second, third, fourth = worker.claim(4)
    worker.report(first, *(1 / (epoch + 1) for epoch in range(1, _EPOCHS + 1)))
    worker.finish(first)
    _store(worker, first, "weights")
    worker.report(second, 0.8, 0.95)
    worker.finish(third, "failed", kind="ValueError", message="no", traceback="line 1")
    worker.report(fourth, 0.7)
    if is_left:
        scenery.leases[fourth["trial_id"]] = fourth["lease"]
    else:
        worker.finish(fourth)


def _store(worker: ScriptedWorker, trial: dict[str, Any], place: str) -> None:
    content = f"the file of trial {trial['trial_id']}".encode()
    headers = {
        "Caviar-Lease": trial["lease"],
        "Caviar-SHA256": hashlib.sha256(content).hexdigest(),
        "Caviar-Epoch": str(_EPOCHS),
    }
    answer = worker.http.put(f"/api/v1/trials/{trial['trial_id']}/{place}", content=content, headers=headers)
    assert answer.is_success, answer.text
