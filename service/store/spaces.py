"""Queries on the search spaces that edits replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select

from service.store.schema import spaces
from service.store.transaction import Records, Transaction


def add(tx: Transaction, study_id: int, *, version: int, space: Mapping[str, Any]) -> None:
    """Keep a search space that is being replaced now."""
    row = {"study_id": study_id, "version": version, "space": space, "created_at": tx.now}
    tx.write(insert(spaces), row)


def of_study(tx: Transaction, study_id: int) -> Records:
    """Replaced search spaces of a study, the oldest first; `created_at` is when each was replaced."""
    return tx.read(select(spaces).where(spaces.c.study_id == study_id).order_by(spaces.c.version)).all()
