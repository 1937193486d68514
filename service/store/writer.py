"""The durable group-commit writer: many operations, one transaction, each answered only after its commit.

A commit costs a disk flush, whatever it holds. So one thread per process owns the writing connection, takes all
operations that wait, runs them in one transaction, commits, and only then answers.

Operations stay independent of each other: one that fails before it has written anything simply gets its exception. If
one fails after a write, or the commit fails, the whole batch is rolled back and every operation runs again in a
transaction of its own, so a failure costs its neighbours time, never results. Operations must therefore be safe to run
twice: they may change nothing but the transaction.

What comes thousands of times a second is gathered: all requests of a batch that name the same gathering are handed to
it together, so that it can ask and write for all of them by one statement each. All of them go before anything else,
and of the rest only so much as takes a moment: when a thousand workers end their trials at the same time, the reports
of the others do not wait for all of their claims.

A transaction also waits a moment, no longer than the one before took, for those who were answered by it: workers that
report as fast as they are answered come again together, and go into one transaction instead of two by halves, either of
which would cost as much and hold up the answers to the other half. Whoever comes alone waits for nobody.

Source: the delay before a commit while others are about to (PostgreSQL's `commit_delay` and `commit_siblings`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
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
from service.store.engine import NotBegun, Turns, is_outage, outage
from service.store.transaction import Event, Transaction

Item = TypeVar("Item")
T = TypeVar("T")
Operation = Callable[[Transaction], T]
Gathering = Callable[[Transaction, Sequence[Item]], "Sequence[T | CaviarError]"]
"""Does one thing for many requests: a result for each, or the error that it is refused by, having written nothing.

Its items tell who acts.
"""

_MAX_BATCH = 512
# From here on, what is not gathered is left to the next transaction.
_LONG_S = 0.02
# A disk that has taken long once is no reason to wait for others as long.
_MAX_DELAY_S = 0.02
# Several seconds' worth: what waits longer is repeated by its client, and would then be done twice for nothing.
_MAX_WAITING = 20_000
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_COMMIT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Outcome:
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Job:
    """An operation, or an item of a gathering, and who waits for it: a thread, or a task of an event loop."""

    operation: Operation[Any] | None
    future: Future[Any] | asyncio.Future[Any]
    actor: Principal | None = None
    gathering: Gathering[Any, Any] | None = None
    item: Any = None

    def begin(self) -> bool:
        """False if whoever waited has given up, as a client that hangs up does."""
        if isinstance(self.future, Future):  # One that was left from a former transaction runs already.
            return self.future.running() or self.future.set_running_or_notify_cancel()
        return not self.future.cancelled()


def _is_gathered(job: _Job) -> bool:
    return job.gathering is not None


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
        self._turns = Turns(engine)
        self._clock = clock
        self._on_commit = on_commit
        self._before_commit = before_commit or (lambda _: None)
        self._thread = threading.Thread(target=self._run, name="caviar-writer", daemon=True)
        self.num_outages = 0
        self.num_splits = 0
        self.batch_sizes = Tally(_BATCH_SIZES)
        self.commit_s = Tally(_COMMIT_S)
        # Of the lock: what waits, how much of it the thread sleeps for (0 while it works), and whether more may come.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: list[_Job] = []
        self._num_wanted = 0
        self._is_closed = False
        # Of the thread.
        self._num_left = 0
        self._num_expected, self._expected_until_s = 0, 0.0

    @property
    def num_waiting(self) -> int:
        """Operations that are queued and not yet begun."""
        return len(self._waiting) + self._num_left

    def start(self) -> None:
        """Begin to take operations."""
        self._thread.start()

    def close(self) -> None:
        """Commit what is waiting, then end the thread; later submissions are refused."""
        with self._lock:
            self._is_closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, operation: Operation[T], actor: Principal | None = None) -> Future[T]:
        """Queue an operation; its result, or its exception, comes after the commit.

        Args:
            operation: What is to be done.
            actor: Who does it.
        Raises:
            Unavailable: The writer is closed, or too many operations wait already: better an answer at once than one
                after the client has given up.
        """
        if self.num_waiting >= _MAX_WAITING:
            raise Unavailable("too many writes wait for the database; repeat the request in a few seconds")
        job = _Job(operation, Future(), actor)
        if self._queue(job):
            self._wake()
        return job.future  # type: ignore[return-value]  # It was just made.

    def write(self, operation: Operation[T], actor: Principal | None = None) -> T:
        """Run an operation and wait for its commit. Not for the event loop's thread."""
        return self.submit(operation, actor).result()

    async def perform(self, operation: Operation[T], actor: Principal | None = None) -> T:
        """Run an operation and wait for its commit, on the event loop; raises as `submit` does."""
        found: T = await self._arrive(_Job(operation, asyncio.get_running_loop().create_future(), actor))
        return found

    async def gather(self, gathering: Gathering[Item, T], item: Item) -> T:
        """Run an operation that is done for all of its items in a batch at once; raises as `submit` does."""
        found: T = await self._arrive(_Job(None, asyncio.get_running_loop().create_future(), None, gathering, item))
        return found

    def _arrive(self, job: _Job) -> Any:
        # All that arrives in one round of the event loop wakes the thread once: that costs more than many a request.
        if self._queue(job):
            asyncio.get_running_loop().call_soon(self._wake)
        return job.future

    def _queue(self, job: _Job) -> bool:
        """Whether the thread sleeps and is to be woken, as there is all that it waits for."""
        with self._lock:
            if self._is_closed:
                raise Unavailable("the service is shutting down; repeat the request in a few seconds")
            self._waiting.append(job)
            return 0 < self._num_wanted <= len(self._waiting)

    def _wake(self) -> None:
        # The thread may have gone on by itself meanwhile, and sleep again: then it looks, and sleeps on.
        with self._lock:
            self._changed.notify()

    def _run(self) -> None:
        left = list[_Job]()
        while jobs := [*left, *self._take(is_waited_for=not left)]:
            jobs.sort(key=_is_gathered, reverse=True)
            # From here on nobody can give up any more.
            batch = [job for job in jobs[:_MAX_BATCH] if job.begin()]
            left = [*(self._commit(batch) or ()), *jobs[_MAX_BATCH:]]
            self._num_left = len(left)
        self._turns.close()

    def _take(self, *, is_waited_for: bool) -> list[_Job]:
        """All that waits; nothing if nothing came and nothing will."""
        with self._lock:
            if is_waited_for:
                self._wait_for(self._num_expected, self._expected_until_s - time.perf_counter())
                self._wait_for(1)
            taken, self._waiting = self._waiting, []
        return taken

    def _wait_for(self, num_jobs: int, timeout_s: float | None = None) -> None:
        self._num_wanted = num_jobs
        self._changed.wait_for(lambda: len(self._waiting) >= num_jobs or self._is_closed, timeout_s)
        self._num_wanted = 0

    def _expect(self, num_answered: int, took_s: float) -> None:
        """Wait for as many as are here at the same time, but no longer than the transaction took that answered them."""
        self._num_expected = num_answered + len(self._waiting)
        self._expected_until_s = time.perf_counter() + min(took_s, _MAX_DELAY_S)

    def _commit(self, batch: list[_Job]) -> list[_Job] | None:
        """Answer a batch, but for what is left of it to the next transaction; None if nothing could be begun at all."""
        if not batch:
            return []
        began_s = time.perf_counter()
        try:
            outcomes, events = self._attempt(batch)
        except NotBegun as error:
            self._refuse(batch, error)
            return None
        except Exception as error:  # noqa: BLE001  # The loop must go on whatever an operation or the database does.
            if len(batch) > 1:
                self.num_splits += 1
                _log.info("writer.batch_split", num_operations=len(batch), cause=repr(error))
                self._commit_each(batch)
            else:
                _answer(batch, [_Outcome(error=self._translate(error))])
            return []
        took_s = time.perf_counter() - began_s
        self.commit_s.add(took_s)
        self.batch_sizes.add(len(outcomes))
        # From here on everything is stored: whatever happens, nothing of it may run again.
        self._publish(events)
        self._expect(len(outcomes), took_s)
        _answer(batch[: len(outcomes)], outcomes)
        return batch[len(outcomes) :]

    def _commit_each(self, batch: list[_Job]) -> None:
        for position, job in enumerate(batch, start=1):
            if self._commit([job]) is None:
                # The others would wait as long as this one did, one after the other, and with them whoever comes next.
                self._refuse(batch[position:], NotBegun("the database does not answer; repeat the request later"))
                return

    def _refuse(self, batch: list[_Job], error: NotBegun) -> None:
        self.num_outages += len(batch)
        _answer(batch, [_Outcome(error=NotBegun(error.detail)) for _ in batch])

    def _publish(self, events: Sequence[Event]) -> None:
        try:
            self._on_commit(events)
        except Exception:  # noqa: BLE001  # Those who only listen must not take the answers away from those who wrote.
            _log.exception("writer.publishing_failed")

    def _attempt(self, batch: list[_Job]) -> tuple[list[_Outcome], Sequence[Event]]:
        """Commit a batch, the gathered ones first: outcomes of as many as there was time for, from its beginning."""
        outcomes: list[_Outcome] = []
        with self._turns.begun() as connection, Transaction(connection, self._clock()) as transaction:
            late_s = time.perf_counter() + _LONG_S
            gathered: dict[Any, list[tuple[_Job, _Outcome]]] = {}
            for job in batch:
                outcome = _Outcome()
                if job.gathering is not None:
                    gathered.setdefault(job.gathering, []).append((job, outcome))
                elif outcomes and time.perf_counter() > late_s:
                    break
                else:
                    self._apply(job, outcome, transaction, is_alone=len(batch) == 1)
                outcomes.append(outcome)
            for gathering, members in gathered.items():
                found = gathering(transaction, [job.item for job, _ in members])
                for (_, outcome), one in zip(members, found, strict=True):
                    if isinstance(one, CaviarError):
                        outcome.error = one
                    else:
                        outcome.result = one
            self._before_commit(transaction)
            events = transaction.commit()
        return outcomes, events

    def _apply(self, job: _Job, outcome: _Outcome, transaction: Transaction, *, is_alone: bool) -> None:
        before = transaction.num_writes
        transaction.actor = job.actor
        try:
            outcome.result = job.operation(transaction)  # type: ignore[misc]  # It is no item of a gathering.
        except CaviarError as error:
            if transaction.num_writes == before:
                outcome.error = error
            elif is_alone:
                raise
            else:
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


_Answers = Iterable[tuple["Future[Any] | asyncio.Future[Any]", _Outcome]]


def _answer(batch: Sequence[_Job], outcomes: Sequence[_Outcome]) -> None:
    on_loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = {}
    for job, outcome in zip(batch, outcomes, strict=True):
        if isinstance(job.future, Future):
            _set(job.future, outcome)
        else:
            on_loops.setdefault(job.future.get_loop(), []).append((job.future, outcome))
    # A loop is woken once for all of its tasks.
    for loop, answers in on_loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set_all, answers)


def _set_all(answers: _Answers) -> None:
    for future, outcome in answers:
        if not future.cancelled():
            _set(future, outcome)


def _set(future: Future[Any] | asyncio.Future[Any], outcome: _Outcome) -> None:
    if outcome.error is not None:
        future.set_exception(outcome.error)
    else:
        future.set_result(outcome.result)
