"""Queries on the audit log: rows are added, read, and removed once they are old; none is ever changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert

from service.store.schema import audit
from service.store.transaction import Transaction

_INSERT = insert(audit)


def add(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Add a row."""
    tx.write(_INSERT, {"at": tx.now, **row})


def remove_before(tx: Transaction, before: datetime) -> int:
    """Remove what happened before a time, and tell how many rows that were."""
    return int(tx.write(delete(audit).where(audit.c.at < before)).rowcount)
