"""Queries on rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from service.store.prepared import Query
from service.store.schema import rounds, studies
from service.store.transaction import Records, Transaction

COUNT = Query(select(func.count().label("num")).where(rounds.c.study_id == bindparam("study")))


def add(tx: Transaction, study_id: int, row: Mapping[str, Any]) -> None:
    """Insert a round.

    Args:
        study_id: The study.
        row: `number`, `first_trial`, `origin`, `elite`, `windows` and `model`.
    """
    columns = ("number", "first_trial", "origin", "elite", "windows", "model")
    reached = select(studies.c.num_epochs).where(studies.c.id == study_id).scalar_subquery()
    statement = insert(rounds).values(num_epochs=reached + tx.spent(study_id))
    tx.write(statement, {"study_id": study_id, "opened_at": tx.now, **{name: row[name] for name in columns}})


def of_study(tx: Transaction, study_id: int) -> Records:
    """Rounds of a study, the oldest first."""
    return tx.read(select(rounds).where(rounds.c.study_id == study_id).order_by(rounds.c.number)).all()
