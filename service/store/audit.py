"""Queries on the audit log: rows are added, read, and removed once they are old; none is ever changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, or_, select

from service.store.schema import audit
from service.store.transaction import Records, Transaction

_INSERT = insert(audit)


def add(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Add a row."""
    tx.write(_INSERT, {"at": tx.now, **row})


def page(
    tx: Transaction,
    *,
    actor: str | None,
    action: str | None,
    about: str | None,
    since: datetime | None,
    until: datetime | None,
    after: int | None,
    limit: int,
) -> Records:
    """Rows that fit, the newest first.

    Args:
        tx: Reads them.
        actor: Name of who acted.
        action: What was done, or the beginning of it before a full stop.
        about: What it was done to.
        since: Not before this time.
        until: Before this time.
        after: Id of the last row of the page before.
        limit: At most this many.
    """
    conditions: list[ColumnElement[bool]] = []
    if actor is not None:
        conditions.append(audit.c.actor == actor)
    if action is not None:
        conditions.append(or_(audit.c.action == action, audit.c.action.startswith(f"{action}.", autoescape=True)))
    if about is not None:
        conditions.append(audit.c.object == about)
    if since is not None:
        conditions.append(audit.c.at >= since)
    if until is not None:
        conditions.append(audit.c.at < until)
    if after is not None:
        conditions.append(audit.c.id < after)
    return tx.read(select(audit).where(*conditions).order_by(audit.c.id.desc()).limit(limit)).all()


def actions(tx: Transaction) -> list[str]:
    """Everything that was done at least once, by name."""
    return list(tx.read(select(audit.c.action).distinct().order_by(audit.c.action)).scalars())


def remove_before(tx: Transaction, before: datetime, limit: int | None = None) -> int:
    """Remove what happened before a time, or a portion of it, and tell how many rows that were."""
    old = select(audit.c.id).where(audit.c.at < before).order_by(audit.c.at).limit(limit)
    return int(tx.write(delete(audit).where(audit.c.id.in_(old))).rowcount)
