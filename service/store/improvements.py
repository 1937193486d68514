"""Queries on the best values that a study has had over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select

from service.store.prepared import Bulk
from service.store.schema import improvements
from service.store.transaction import Record, Records, Transaction

_INSERT = Bulk(insert(improvements), "study_id", "num_epochs", "trial_id", "number", "attempt", "epoch", "value", "at")
_OF_STUDY = (
    select(improvements)
    .where(improvements.c.study_id == bindparam("study"))
    .order_by(improvements.c.num_epochs, improvements.c.at, improvements.c.epoch)
)
_OF_STUDY_BACKWARDS = (
    select(improvements)
    .where(improvements.c.study_id == bindparam("study"))
    .order_by(improvements.c.num_epochs.desc(), improvements.c.at.desc(), improvements.c.epoch.desc())
    .limit(1)
)


def add(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert values that were better than all before them.

    Args:
        rows: `study_id`, `num_epochs`, `trial_id`, `number`, `attempt`, `epoch` and `value` of each.
    """
    if rows:
        # What was imported, which no attempt has trained, is no news to whoever imported it.
        tx.gains.update(row["study_id"] for row in rows if row["attempt"] > 0)
        tx.write_all(_INSERT, [{**row, "at": tx.now} for row in rows])


def newest(tx: Transaction, study_id: int) -> Record | None:
    """The improvement that led to the best value of a study; None while it has no value."""
    return tx.read(_OF_STUDY_BACKWARDS, {"study": study_id}).first()


def of_study(tx: Transaction, study_id: int) -> Records:
    """Improvements of a study, the oldest first: each is better than the one before."""
    return tx.read(_OF_STUDY, {"study": study_id}).all()


def of_studies(tx: Transaction, study_ids: Sequence[int]) -> dict[int, list[Record]]:
    """Improvements of several studies, by study, the oldest first."""
    statement = (
        select(improvements)
        .where(improvements.c.study_id.in_(study_ids))
        .order_by(improvements.c.num_epochs, improvements.c.at, improvements.c.epoch)
    )
    found: dict[int, list[Record]] = defaultdict(list)
    for row in tx.read(statement):
        found[row.study_id].append(row)
    return found
