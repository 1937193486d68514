"""The service as one object: what every use case needs at hand."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from caviar.contract.messages import Claimed, Measurement, ReportAnswer
from service.domain.principal import Principal
from service.domain.shares import Shares
from service.store.engine import Engine, is_shared, read
from service.store.listening import Listener
from service.store.transaction import Event, Transaction
from service.store.writer import Operation, Writer
from service.use_cases.announcing import Announcer
from service.use_cases.counts import Counts
from service.use_cases.feed import Feed
from service.use_cases.inflow import Inflow
from service.use_cases.messages import Composer
from service.use_cases.recognition import Recognition
from service.use_cases.reporting import Filed, Reporting
from service.use_cases.searching import Searches

T = TypeVar("T")
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The system's time."""
    return datetime.now(UTC)


class Service:
    """Everything that lives as long as the process, as the one who acts has it at hand.

    Attributes:
        actor: Who acts; None for nobody, who may do nothing that is checked.
        engine: Of the database.
        clock: Tells the time.
        lease_ttl_s: Seconds that a lease lasts without a renewal.
        feed: Wakes those who wait for commits, of this process and of others.
        searches: Mirrors, samplers and pruners by study.
        counts: What has happened since the process began.
        shares: How much of the slots each study has had.
        inflow: Merges what all processes commit.
        writer: Owns all writes.
        announcer: Writes what webhooks are to be told, in the transaction that it happens in.
        recognition: Remembers whom secrets belong to.
        claims: The claim that is being answered of each worker, by whoever asks as it, with its request id.
    """

    # All views of a service share what `__dict__` holds, also what is set later; the actor alone is each one's own.
    __slots__ = ("__dict__", "__weakref__", "actor")

    def __init__(
        self, engine: Engine, *, lease_ttl_s: float, clock: Clock = utc_now, public_url: str | None = None
    ) -> None:
        """Put the parts together; `start` brings them to life."""
        self.actor: Principal | None = None
        self.engine = engine
        self.clock = clock
        self.lease_ttl_s = lease_ttl_s
        self.feed = Feed()
        self.searches = Searches(self.reading)
        self.counts = Counts()
        self.shares = Shares()
        self.inflow = Inflow(
            self.reading, tell=self._tell, apply=self.searches.apply, forget=self.forget, ring=self.feed.ring_soon
        )
        self._listener = Listener(engine, self.inflow) if is_shared(engine) else None
        self.recognition = Recognition(clock)
        self.claims: dict[tuple[str, int | None], tuple[str, asyncio.Task[Claimed]]] = {}
        self.announcer = Announcer(Composer(public_url))
        self.writer = Writer(engine, clock=clock, on_commit=self._committed, before_commit=self.announcer)
        self._reporting = Reporting(self.searches, lease_ttl_s=lease_ttl_s)

    def start(self) -> None:
        """Begin to write. To be called on the thread of the running event loop."""
        self.feed.bind(asyncio.get_running_loop())
        self.writer.start()
        if self._listener is not None:
            self._listener.start()

    def close(self) -> None:
        """Commit what is waiting and let go of the database."""
        self.feed.close_soon()
        self.writer.close()
        if self._listener is not None:
            self._listener.close()
        self.engine.dispose()

    def acting_for(self, actor: Principal) -> Service:
        """The same service, for somebody who acts: whatever is read and written through it is so in this name."""
        view = object.__new__(Service)
        view.__dict__ = self.__dict__
        view.actor = actor
        return view

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that only reads and sees one state of the database."""
        with read(self.engine, self.clock(), self.actor) as transaction:
            yield transaction

    def forget(self, study_id: int) -> None:
        """Let go of a deleted study."""
        self.inflow.forget(study_id)
        self.searches.forget(study_id)
        self.feed.drop(study_id)
        self.shares.forget(study_id)
        # Its share links have gone with it.
        self.recognition.forget()

    def write(self, operation: Operation[T]) -> T:
        """Run an operation in the next group commit and wait for it. Not for the event loop's thread."""
        return self.writer.write(_carried(operation), self.actor)

    async def submit(self, operation: Operation[T]) -> T:
        """Run an operation in the next group commit, from the event loop."""
        return await self.writer.perform(_carried(operation), self.actor)

    async def report(self, items: Sequence[Measurement]) -> ReportAnswer:
        """Take measurements in the next group commit; see `reporting.report`."""
        return await self.writer.gather(self._reporting, Filed(self.actor, items))

    def _committed(self, events: Sequence[Event]) -> None:
        self.counts.apply(events)
        self.searches.apply(events)
        if not self.inflow.committed(events) and self._listener is not None:
            self._listener.wake()

    def _tell(self, events: Sequence[Event]) -> None:
        self.shares.apply(events)
        self.feed.publish(events)


def _carried(operation: Operation[T]) -> Operation[T]:
    # So that what it logs, and the spans of its queries, belong to the request that it is done for.
    context = contextvars.copy_context()
    return lambda tx: context.run(operation, tx)
