"""Queries on rounds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from service.store.schema import rounds
from service.store.transaction import Records, Transaction


def add(tx: Transaction, study_id: int, *, number: int, first_trial: int, elite: list[int], windows: Any) -> None:
    """Insert a round."""
    row = {
        "study_id": study_id,
        "number": number,
        "first_trial": first_trial,
        "elite": elite,
        "windows": windows,
        "opened_at": tx.now,
    }
    tx.write(insert(rounds), row)


def of_study(tx: Transaction, study_id: int) -> Records:
    """Rounds of a study, the oldest first."""
    return tx.read(select(rounds).where(rounds.c.study_id == study_id).order_by(rounds.c.number)).all()
