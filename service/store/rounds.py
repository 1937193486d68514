"""Queries on rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select

from service.store.schema import rounds
from service.store.transaction import Records, Transaction


def add(tx: Transaction, study_id: int, row: Mapping[str, Any]) -> None:
    """Insert a round.

    Args:
        study_id: The study.
        row: `number`, `first_trial`, `origin`, `elite`, `windows` and `model`.
    """
    columns = ("number", "first_trial", "origin", "elite", "windows", "model")
    tx.write(insert(rounds), {"study_id": study_id, "opened_at": tx.now, **{name: row[name] for name in columns}})


def of_study(tx: Transaction, study_id: int) -> Records:
    """Rounds of a study, the oldest first."""
    return tx.read(select(rounds).where(rounds.c.study_id == study_id).order_by(rounds.c.number)).all()
