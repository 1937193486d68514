"""Queries on the change feed."""

from __future__ import annotations

from sqlalchemy import select

from service.store.schema import events
from service.store.transaction import Event, Transaction


def since(tx: Transaction, study_id: int, after: int, limit: int) -> list[Event]:
    """Events of a study numbered above `after`, in order."""
    statement = (
        select(events).where(events.c.study_id == study_id, events.c.seq > after).order_by(events.c.seq).limit(limit)
    )
    return [Event(row.study_id, row.seq, row.kind, row.at, row.data) for row in tx.read(statement)]
