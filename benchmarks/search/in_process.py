"""The service without HTTP: its use cases on a database of its own, with a clock that only the caller turns."""

from __future__ import annotations

import asyncio
import functools
import itertools
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from caviar.contract.messages import Assignment, Claim, Finish, Measurement, OfferedObjective, RegisterWorker
from caviar.contract.states import Decision, Outcome
from caviar.contract.study import StudySpec
from caviar.contract.views import StudyView
from service import logs
from service.domain.principal import SYSTEM
from service.store import migrations
from service.store.engine import connect
from service.use_cases import claiming, finishing, reading, registering, reporting, submitting
from service.use_cases.service import Service

OBJECTIVE = "local"
_MEMORY = Path("/dev/shm")  # noqa: S108  # a file system in memory, where there is one; the folder's name is drawn
_LEASE_TTL_S = 1e8


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time that it shows."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Turn it forward."""
        self._now += timedelta(seconds=seconds)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for databases, in memory where the machine has a file system there."""
    return tempfile.TemporaryDirectory(prefix="caviar-bench-", dir=_MEMORY if _MEMORY.is_dir() else None)


@functools.cache
def _empty_database() -> bytes:
    with scratch() as folder:
        path = Path(folder, "empty.db")
        migrations.upgrade(f"sqlite:///{path}")
        return path.read_bytes()


def new_database(folder: str) -> str:
    """Address of a database with all tables and no rows.

    Args:
        folder: An existing folder, which holds none yet.
    """
    path = Path(folder, "caviar.db")
    path.write_bytes(_empty_database())
    return f"sqlite:///{path}"


class InProcess:
    """A service with one study and one worker that has as many slots as anybody asks for.

    Attributes:
        clock: The time that the service sees.
        service: The service itself.
    """

    def __init__(self, spec: StudySpec) -> None:
        """Keep the study; entering the context starts the service and submits it.

        Args:
            spec: Its objective must be `OBJECTIVE`, its space set.
        """
        self.clock = Clock()
        self._spec = spec
        self._request_ids = map(str, itertools.count())
        self._held: dict[int, str] = {}

    def __enter__(self) -> Self:
        """Start the service, register the worker, submit the study."""
        logs.configure("warning", "console")
        self._folder = scratch()
        service = Service(connect(new_database(self._folder.name)), lease_ttl_s=_LEASE_TTL_S, clock=self.clock)
        self.service = service.acting_for(SYSTEM)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._start())
        offer = RegisterWorker(
            name="worker", host="here", slots=1, devices=[], objectives=[OfferedObjective(name=OBJECTIVE)]
        )
        register = functools.partial(registering.register, body=offer, lease_ttl_s=_LEASE_TTL_S)
        self._worker_id = self.service.write(register).worker_id
        self.service.write(lambda tx: submitting.create(tx, self._spec))
        return self

    async def _start(self) -> None:
        self.service.start()

    def __exit__(self, *_: object) -> None:
        """Stop everything and forget it."""
        self.service.close()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._folder.cleanup()

    def claim(self) -> Assignment | None:
        """The next trial to train; None once there is no work."""
        body = Claim(request_id=next(self._request_ids), max_trials=1, wait_s=0, leases=list(self._held.values()))
        claimed = self._loop.run_until_complete(claiming.claim(self.service, self._worker_id, body))
        if not claimed.assigned:
            return None
        (assignment,) = claimed.assigned
        self._held[assignment.trial_id] = assignment.lease
        return assignment

    def report(self, assignment: Assignment, epoch: int, value: float, *, elapsed_s: float) -> Decision:
        """Tell the service an epoch of a trial that was claimed, and hear what becomes of the trial.

        Args:
            assignment: What `claim` answered.
            epoch: Completed epochs, absolute.
            value: The study's metric.
            elapsed_s: Seconds of training in this attempt so far.
        """
        item = Measurement(
            trial_id=assignment.trial_id,
            lease=assignment.lease,
            epoch=epoch,
            metrics={self._spec.metric.name: value},
            elapsed_s=elapsed_s,
            checkpoint=epoch in assignment.checkpoint_epochs,
        )
        searches = self.service.searches
        answer = self.service.write(lambda tx: reporting.report(tx, searches, [item], lease_ttl_s=_LEASE_TTL_S))
        (said,) = answer.decisions
        if said.decision is not Decision.CONTINUE:
            del self._held[assignment.trial_id]
        return said.decision

    def finish(self, assignment: Assignment, outcome: Outcome = Outcome.COMPLETE) -> None:
        """Tell the service that a training has ended by itself."""
        body, searches = Finish(lease=assignment.lease, outcome=outcome), self.service.searches
        self.service.write(lambda tx: finishing.finish(tx, searches, assignment.trial_id, body))
        del self._held[assignment.trial_id]

    def study(self) -> StudyView:
        """The study as it stands."""
        with self.service.reading() as tx:
            return reading.study(tx, self._spec.name)
