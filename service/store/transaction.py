"""One transaction: reads, writes, and the events that become visible with its commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, CursorResult, Executable, bindparam, insert, update
from sqlalchemy.engine import Row as SqlRow

from service.domain.principal import Principal
from service.store import notices, schema
from service.store.prepared import Bulk, Change, Columns, Query, Row, all_records, together

Record = SqlRow[Any]
"""A stored row, its columns as attributes."""

Records = Sequence[Record]

_ADVANCING = (
    update(schema.studies)
    .where(schema.studies.c.id == bindparam("study_id"))
    .values(
        last_event_seq=schema.studies.c.last_event_seq + bindparam("num_events"),
        num_epochs=schema.studies.c.num_epochs + bindparam("epochs"),
        updated_at=bindparam("now"),
    )
)
_ADVANCED = ("study_id", "num_events", "epochs", "now")
_ADVANCE = Bulk(_ADVANCING, *_ADVANCED)
_ADVANCE_READ = Change(_ADVANCING.returning(schema.studies.c.last_event_seq), *_ADVANCED)
_INSERT_EVENTS = Bulk(insert(schema.events), "study_id", "seq", "kind", "at", "data")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a study, numbered once its transaction is flushed."""

    study_id: int
    seq: int
    kind: str
    at: datetime
    data: Mapping[str, JsonValue]


class Transaction:
    """A connection within an open transaction, with the time that it happens at.

    The change feed is part of the transaction: what `emit` collects is numbered per study and stored by `flush`, right
    before the commit, so the numbers of one study have no gaps and follow the order of commits.

    Attributes:
        now: Time of everything that is written.
        actor: Who acts; None for nobody, who may do nothing that is checked.
        num_writes: Rises with every write and event; a caller that saw it stand still knows that nothing was changed.
        reported: Values by epoch that this transaction has stored, by trial.
        kinds: Kinds of the events since the last flush.
        gains: Studies whose best value got better since the last flush.
        last_seqs: Numbers of the last events of studies, as far as they were read and nobody can change them.
    """

    def __init__(self, connection: Connection, now: datetime, actor: Principal | None = None) -> None:
        """Wrap a connection whose transaction has begun."""
        self._connection = connection
        self._sending: AbstractContextManager[None] | None = None
        self.now = now
        self.actor = actor
        self.num_writes = 0
        self.reported: dict[int, dict[int, float]] = defaultdict(dict)
        self.kinds: set[str] = set()
        self.gains: set[int] = set()
        self.last_seqs: dict[int, int] = {}
        self._pending: list[tuple[int, str, Mapping[str, JsonValue]]] = []
        self._epochs: dict[int, int] = defaultdict(int)
        self._gone: list[int] = []
        self._is_waking = False

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what was sent and is not answered yet, whether or not the transaction has failed."""
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.__exit__(kind, error, trace)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite; otherwise it is Postgres."""
        return self._connection.dialect.name == "sqlite"

    @property
    def connection(self) -> Connection:
        """The open connection, once everything that was sent is answered."""
        self._settle()
        return self._connection

    def _settle(self) -> None:
        self.__exit__(None, None, None)

    def read(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Run a query."""
        return self.connection.execute(statement, parameters)

    def write(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run an insert, update or delete, with one set of parameters or a list of them."""
        self.num_writes += 1
        return self.connection.execute(statement, parameters)

    def records(self, query: Query, parameters: Mapping[str, Any]) -> list[Any]:
        """Run a prepared query."""
        return query.records(self._connection, parameters)

    def all_records(self, *asked: tuple[Query, Row]) -> list[list[Any]]:
        """Run several prepared queries that need not know of each other's answers."""
        self.send_together()
        return all_records(self._connection, asked)

    def rows(self, query: Query, parameters: Mapping[str, Any]) -> list[list[Any]]:
        """Run a prepared query; its rows as plain lists."""
        return query.rows(self._connection, parameters)

    def only(self, query: Query, parameters: Mapping[str, Any]) -> Any:
        """Run a prepared query that finds one row at most; None if it finds none."""
        found = query.records(self._connection, parameters)
        return found[0] if found else None

    def change(self, change: Change, parameters: Mapping[str, Any]) -> list[Any]:
        """Run a prepared insert, update or delete, and return what it says of the rows that it was done to."""
        self.num_writes += 1
        return change.records(self._connection, parameters)

    def write_one(self, prepared: Bulk | Columns, row: Mapping[str, Any]) -> None:
        """Run a prepared insert, update or delete for one row."""
        self.num_writes += 1
        if isinstance(prepared, Columns):
            prepared.run(self._connection, row)
        else:
            prepared.run(self._connection, [row])

    def write_all(self, bulk: Bulk, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run an insert or update for many rows, at least one."""
        self.num_writes += 1
        bulk.run(self._connection, rows)

    def send_together(self) -> None:
        """Send what is written next to Postgres without waiting for the answers, until something is read.

        Whatever goes wrong with it is told by then, or by the end of the transaction.
        """
        if self._sending is None:
            sending = together(self._connection)
            sending.__enter__()
            self._sending = sending

    def emit(self, study_id: int, kind: str, **data: JsonValue) -> None:
        """Add an event to the study's change feed."""
        self.num_writes += 1
        self.kinds.add(kind)
        self._pending.append((study_id, kind, data))

    def pending(self, *kinds: str) -> Iterator[tuple[int, str, Mapping[str, JsonValue]]]:
        """Events of these kinds since the last flush: study, kind and data of each."""
        return (event for event in self._pending if event[1] in kinds)

    def spend(self, study_id: int, epochs: int) -> None:
        """Count reported epochs of a study."""
        self._epochs[study_id] += epochs

    def spent(self, study_id: int) -> int:
        """Epochs that this transaction has counted and not yet flushed."""
        return self._epochs[study_id]

    def tell_gone(self, study_id: int) -> None:
        """Let other processes know that a study was deleted."""
        self.last_seqs.pop(study_id, None)
        self._gone.append(study_id)

    def wake_claims(self) -> None:
        """Have workers in a long poll at other processes ask anew, although nothing has happened in a study."""
        self._is_waking = True

    def flush(self) -> list[Event]:
        """Number and store the events collected since the last flush; to be called right before the commit.

        What goes wrong with it may be told only by the commit.
        """
        by_study: dict[int, list[tuple[str, Mapping[str, JsonValue]]]] = defaultdict(list)
        for study_id, kind, data in self._pending:
            by_study[study_id].append((kind, data))
        events: list[Event] = []
        # In the order of ids, so that two processes lock the rows of studies in the same order.
        for study_id, items in sorted(by_study.items()):
            first = self._advance(study_id, len(items))
            if first is None:  # The study was deleted in this transaction; its feed went with it.
                continue
            events += [Event(study_id, first + i, kind, self.now, data) for i, (kind, data) in enumerate(items)]
        if events:
            rows = [{"study_id": e.study_id, "seq": e.seq, "kind": e.kind, "at": e.at, "data": e.data} for e in events]
            self.send_together()
            self.write_all(_INSERT_EVENTS, rows)
        self._notify(events)
        self._pending.clear()
        self._epochs.clear()
        self.kinds.clear()
        self.gains.clear()
        self.last_seqs.clear()
        return events

    def commit(self) -> list[Event]:
        """Flush and commit; returns the events, which from then on are everybody's to see.

        On Postgres the commit goes with what is still on its way: if something of it fails, nothing is committed.
        """
        events = self.flush()
        transaction = self._connection.get_transaction()
        if transaction is None:
            raise RuntimeError("received no open transaction, expected one that is committed once")
        try:
            transaction.commit()
        except BaseException as error:
            # Its transaction is still open if something that was on its way has failed. SQLAlchemy takes it for ended,
            # and would hand it on as it is.
            self.__exit__(type(error), error, error.__traceback__)
            self._connection.invalidate(error)
            raise
        self._settle()
        return events

    def _advance(self, study_id: int, num_events: int) -> int | None:
        """Count events of a study; returns the number of the first of them, None if the study is gone."""
        row = {"study_id": study_id, "num_events": num_events, "epochs": self._epochs[study_id], "now": self.now}
        last = self.last_seqs.get(study_id)
        if last is not None:
            self.send_together()
            self.write_one(_ADVANCE, row)
            return last + 1
        found = self.change(_ADVANCE_READ, row)
        return found[0].last_event_seq - num_events + 1 if found else None

    def _notify(self, events: Sequence[Event]) -> None:
        if self.is_sqlite:
            return  # Nobody else is there.
        news: dict[int, tuple[int, int]] = {}
        for event in events:
            news[event.study_id] = (news.get(event.study_id, (event.seq, 0))[0], event.seq)
        origin = self._connection.get_execution_options()["origin"]
        notices.send(self._connection, notices.Notice(origin, news, self._gone, is_waking=self._is_waking))
        self._gone, self._is_waking = [], False
