"""Queries on studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from caviar.contract.errors import NotFound
from caviar.contract.states import StudyState, TrialState
from service.store.schema import studies, trials
from service.store.transaction import Record, Records, Transaction


def add(tx: Transaction, *, name: str, spec: Mapping[str, Any], digest: str) -> int | None:
    """Insert a study; None if its name was taken a moment ago by another process."""
    row = {
        "name": name,
        "spec": spec,
        "submitted_digest": digest,
        "state": StudyState.RUNNING,
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    try:
        with tx.connection.begin_nested():
            inserted = tx.write(insert(studies), row).inserted_primary_key
    except IntegrityError:
        return None
    return int(inserted[0]) if inserted else None


def find(tx: Transaction, name: str) -> Record | None:
    """The study of this name, if there is one."""
    return tx.read(select(studies).where(studies.c.name == name)).one_or_none()


def get(tx: Transaction, name: str, *, is_locked: bool = False) -> Record:
    """The study of this name.

    Args:
        is_locked: Hold its row until the commit, where the database locks rows.
    Raises:
        NotFound: There is none.
    """
    statement = select(studies).where(studies.c.name == name)
    row = tx.read(statement.with_for_update() if is_locked else statement).one_or_none()
    if row is None:
        raise NotFound(f"received the study name {name!r}, but no study has this name")
    return row


def by_id(tx: Transaction, study_id: int, *, is_locked: bool = False) -> Record | None:
    """The study of this id, if it still exists."""
    statement = select(studies).where(studies.c.id == study_id)
    return tx.read(statement.with_for_update() if is_locked else statement).one_or_none()


def in_state(tx: Transaction, *states: StudyState) -> Records:
    """All studies in these states, the oldest first."""
    return tx.read(select(studies).where(studies.c.state.in_(states)).order_by(studies.c.id)).all()


def page(tx: Transaction, *, limit: int, after: str | None) -> Records:
    """Studies, the newest first.

    Args:
        limit: At most this many.
        after: Name of the last study of the page before.
    """
    statement: Select[Any] = select(studies).order_by(studies.c.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(
            studies.c.id < select(studies.c.id).where(studies.c.name == after).scalar_subquery()
        )
    return tx.read(statement).all()


def change(tx: Transaction, study_id: int, **values: Any) -> None:
    """Set columns of a study."""
    tx.write(update(studies).where(studies.c.id == study_id).values(updated_at=tx.now, **values))


def count_trial(tx: Transaction, study_id: int) -> None:
    """Count one more trial."""
    tx.write(update(studies).where(studies.c.id == study_id).values(num_trials=studies.c.num_trials + 1))


def remove(tx: Transaction, study_id: int) -> None:
    """Delete a study with everything that belongs to it."""
    tx.write(delete(studies).where(studies.c.id == study_id))


def trial_counts(tx: Transaction, study_ids: list[int]) -> dict[int, dict[TrialState, int]]:
    """Numbers of trials by state, of several studies."""
    statement = (
        select(trials.c.study_id, trials.c.state, func.count().label("num_trials"))
        .where(trials.c.study_id.in_(study_ids))
        .group_by(trials.c.study_id, trials.c.state)
    )
    counts: dict[int, dict[TrialState, int]] = {study_id: {} for study_id in study_ids}
    for row in tx.read(statement):
        counts[row.study_id][TrialState(row.state)] = row.num_trials
    return counts
