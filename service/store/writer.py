"""The durable group-commit writer: many operations, one transaction, each answered only after its commit.

A commit costs a disk flush, whatever it holds. So one thread per process owns the writing connection, takes all
operations that wait, runs them in one transaction, commits, and only then resolves their futures.

Operations stay independent of each other: one that fails before it has written anything simply gets its exception. If
one fails after a write, or the commit fails, the whole batch is rolled back and every operation runs again in a
transaction of its own, so a failure costs its neighbours time, never results. Operations must therefore be safe to run
twice: they may change nothing but the transaction.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from caviar.contract.errors import CaviarError, Unavailable
from service.domain.principal import Principal
from service.domain.tally import Tally
from service.store.engine import NotBegun, begun, is_outage, outage
from service.store.transaction import Event, Transaction

T = TypeVar("T")
Operation = Callable[[Transaction], T]

_MAX_BATCH = 512
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_COMMIT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Job:
    operation: Operation[Any]
    future: Future[Any]
    actor: Principal | None


class _Spoiled(Exception):
    """An operation failed after it had written: the batch must not be committed."""


class Writer:
    """Owns all writes of this process.

    Attributes:
        num_outages: Operations that were refused so far because the database was away or full.
        num_splits: Batches that were rolled back so far and run again one by one.
        batch_sizes: Operations of each transaction that was committed.
        commit_s: Seconds that each of them took from its beginning to the end of its commit.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], datetime],
        on_commit: Callable[[Sequence[Event]], None],
        before_commit: Callable[[Transaction], None] | None = None,
    ) -> None:
        """Prepare the writer; `start` begins to work.

        Args:
            engine: Of the database.
            clock: Tells the time of each transaction.
            on_commit: Called on the writer's thread with the events of each commit, before the answers go out.
            before_commit: Called with each transaction at its end, to write what follows from its events.
        """
        self._engine = engine.execution_options(is_writer=True)
        self._clock = clock
        self._on_commit = on_commit
        self._before_commit = before_commit or (lambda _: None)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="caviar-writer", daemon=True)
        self.num_outages = 0
        self.num_splits = 0
        self.batch_sizes = Tally(_BATCH_SIZES)
        self.commit_s = Tally(_COMMIT_S)
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def num_waiting(self) -> int:
        """Operations that are queued and not yet begun."""
        return self._jobs.qsize()

    def start(self) -> None:
        """Begin to take operations."""
        self._thread.start()

    def close(self) -> None:
        """Commit what is waiting, then end the thread; later submissions are refused."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, operation: Operation[T], actor: Principal | None = None) -> Future[T]:
        """Queue an operation; its result, or its exception, comes after the commit.

        Args:
            operation: What is to be done.
            actor: Who does it.
        Raises:
            Unavailable: The writer is closed.
        """
        job = _Job(operation, Future(), actor)
        with self._lock:
            if self._is_closed:
                raise Unavailable("the service is shutting down; repeat the request in a few seconds")
            self._jobs.put(job)
        return job.future

    def write(self, operation: Operation[T], actor: Principal | None = None) -> T:
        """Run an operation and wait for its commit. Not for the event loop's thread."""
        return self.submit(operation, actor).result()

    def _run(self) -> None:
        is_open = True
        while is_open:
            jobs, is_open = self._take()
            # Whoever waits may have given up, as a client that hangs up does; from here on nobody can any more.
            batch = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if batch:
                self._commit(batch)

    def _take(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == _MAX_BATCH or self._jobs.empty():
                return jobs, True
            job = self._jobs.get()
        return jobs, False

    def _commit(self, batch: list[_Job]) -> bool:
        """Answer a batch; False if nothing could be begun at all."""
        began_s = time.perf_counter()
        try:
            results, events = self._attempt(batch)
        except NotBegun as error:
            self._refuse(batch, error)
            return False
        except Exception as error:  # noqa: BLE001  # The loop must go on whatever an operation or the database does.
            if len(batch) > 1:
                self.num_splits += 1
                _log.info("writer.batch_split", num_operations=len(batch), cause=repr(error))
                self._commit_each(batch)
            else:
                batch[0].future.set_exception(self._translate(error))
            return True
        self.commit_s.add(time.perf_counter() - began_s)
        self.batch_sizes.add(len(batch))
        # From here on everything is stored: whatever happens, nothing of the batch may run again.
        self._publish(events)
        for job, (result, failure) in zip(batch, results, strict=True):
            if failure is not None:
                job.future.set_exception(failure)
            else:
                job.future.set_result(result)
        return True

    def _commit_each(self, batch: list[_Job]) -> None:
        for position, job in enumerate(batch, start=1):
            if not self._commit([job]):
                # The others would wait as long as this one did, one after the other, and with them whoever comes next.
                self._refuse(batch[position:], NotBegun("the database does not answer; repeat the request later"))
                return

    def _refuse(self, batch: list[_Job], error: NotBegun) -> None:
        self.num_outages += len(batch)
        for job in batch:
            job.future.set_exception(NotBegun(error.detail))

    def _publish(self, events: Sequence[Event]) -> None:
        try:
            self._on_commit(events)
        except Exception:  # noqa: BLE001  # Those who only listen must not take the answers away from those who wrote.
            _log.exception("writer.publishing_failed")

    def _attempt(self, batch: list[_Job]) -> tuple[list[tuple[Any, CaviarError | None]], Sequence[Event]]:
        with begun(self._engine) as connection:
            transaction = Transaction(connection, self._clock())
            results = [self._apply(job, transaction, is_alone=len(batch) == 1) for job in batch]
            self._before_commit(transaction)
            events = transaction.flush()
        return results, events

    def _apply(self, job: _Job, transaction: Transaction, *, is_alone: bool) -> tuple[Any, CaviarError | None]:
        before = transaction.num_writes
        transaction.actor = job.actor
        try:
            return job.operation(transaction), None
        except CaviarError as error:
            if transaction.num_writes == before:
                return None, error
            if is_alone:
                raise
            raise _Spoiled from error

    def _translate(self, error: Exception) -> Exception:
        if isinstance(error, CaviarError):
            return error
        if isinstance(error, DBAPIError) and is_outage(error):
            self.num_outages += 1
            return outage(error)
        if isinstance(error, SQLAlchemyError):
            _log.error("writer.failed", exc_info=error)
        return error
