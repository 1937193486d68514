"""Queries on the change feed."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from service.store.schema import events
from service.store.transaction import Event, Transaction

_PORTION = 1000


def since(tx: Transaction, study_id: int, after: int, limit: int) -> list[Event]:
    """Events of a study numbered above `after`, in order."""
    statement = (
        select(events).where(events.c.study_id == study_id, events.c.seq > after).order_by(events.c.seq).limit(limit)
    )
    return [Event(row.study_id, row.seq, row.kind, row.at, row.data) for row in tx.read(statement)]


def missing(tx: Transaction, study_id: int, after: int) -> Iterator[list[Event]]:
    """All events of a study numbered above `after`, in order and in portions."""
    while found := since(tx, study_id, after, _PORTION):
        yield found
        after = found[-1].seq
