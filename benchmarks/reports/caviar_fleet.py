"""Caviar under a crowd of workers: a service process, and the worker's own client."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2

from benchmarks.reports.crowd import NUM_EPOCHS, NUM_PARAMS
from benchmarks.search.history import Past, fill
from benchmarks.serving import TOKEN
from caviar.contract.messages import Claim, Finish, Measurement, OfferedObjective, RegisterWorker, Report
from caviar.contract.states import Decision, Outcome
from caviar.contract.study import StudySpec
from service.domain.principal import SYSTEM
from service.store import migrations
from service.store.engine import connect, write
from service.use_cases import registering, submitting
from worker.api import WorkerApi
from worker.line import Line

OBJECTIVE = "throughput"
_BODY: dict[str, Any] = {
    "name": "throughput",
    "objective": {"name": OBJECTIVE},
    "space": {f"x{at}": {"type": "float", "low": 0.0, "high": 1.0} for at in range(NUM_PARAMS)},
    "strategy": {"kind": "random"},
    "pruner": {"kind": "median"},
    "early_stopping": None,
    "budget": {"max_trials": 10_000_000, "max_epochs": NUM_EPOCHS},
}


def prepare(database_url: str, num_old: int, *, max_epochs: int = NUM_EPOCHS) -> None:
    """Make a database that holds the study.

    Args:
        database_url: Empty so far.
        num_old: Complete trials of all epochs that it has behind it.
        max_epochs: Of a trial.
    """
    migrations.upgrade(database_url)
    spec = StudySpec.model_validate(_BODY | {"budget": {"max_trials": 10_000_000, "max_epochs": max_epochs}})
    engine, now = connect(database_url), datetime.now(UTC)
    try:
        offer = RegisterWorker(name="w", host="h", objectives=[OfferedObjective(name=OBJECTIVE)])
        with write(engine, now) as tx:
            tx.actor = SYSTEM
            registering.register(tx, offer, lease_ttl_s=30.0)
            submitting.create(tx, spec)
        if num_old:
            fill(engine, spec, Past(num_old, num_epochs=max_epochs), now)
    finally:
        engine.dispose()


class CaviarWorker:
    """A worker with one slot, as the worker's own threads ask and report."""

    def __init__(self, origin: str) -> None:
        """Register at a service."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self._http = httpx2.Client(base_url=origin, headers=headers, timeout=60, trust_env=False)
        self._line = Line(origin, TOKEN)
        self._api = WorkerApi(self._http, self._line)
        offers = [OfferedObjective(name=OBJECTIVE)]
        self._worker_id = self._api.register(RegisterWorker(name="w", host="h", objectives=offers)).worker_id
        self._requests = itertools.count()

    def close(self) -> None:
        """Hang up."""
        self._line.close()
        self._http.close()

    def trials(self) -> Iterator[Callable[[int, float], bool]]:
        """One trial after the other."""
        while True:
            claim = Claim(request_id=f"r{next(self._requests)}", wait_s=30.0)
            for trial in self._api.claim(self._worker_id, claim).assigned:
                ended = False

                def report(epoch: int, loss: float, trial_id: int = trial.trial_id, lease: str = trial.lease) -> bool:
                    nonlocal ended
                    item = Measurement(
                        trial_id=trial_id, lease=lease, epoch=epoch, metrics={"val_loss": loss}, elapsed_s=float(epoch)
                    )
                    [decided] = self._api.report(Report(items=[item])).decisions
                    ended = decided.decision is not Decision.CONTINUE
                    return not ended

                yield report
                if not ended:
                    self._api.finish(trial.trial_id, Finish(lease=trial.lease, outcome=Outcome.COMPLETE))
