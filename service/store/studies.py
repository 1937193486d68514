"""Queries on studies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Double, Integer, Text, bindparam, cast, delete, func, insert, select, update

from caviar.contract.errors import NotFound
from caviar.contract.states import StudyState, TrialState
from service.store.prepared import Bulk, Columns, Query
from service.store.schema import attempts, studies, trials
from service.store.transaction import Record, Records, Transaction

SPEC_TEXT = cast(studies.c.spec, Text).label("spec_text")
"""The body of a study as it is stored: equal texts need to be read only once."""

_BUT_BODY = [column for column in studies.c if column is not studies.c.spec]
_OF_ID = select(*_BUT_BODY, SPEC_TEXT).where(studies.c.id == bindparam("study_id"))
_BY_ID, BY_ID_LOCKED = Query(_OF_ID), Query(_OF_ID.with_for_update(of=studies))
_TRIALS = select(trials.c.id).where(trials.c.study_id == studies.c.id)
RUNNING = Query(
    select(
        studies.c.id,
        studies.c.name,
        studies.c.priority,
        studies.c.created_at,
        studies.c.last_event_seq,
        studies.c.num_trials,
        studies.c.num_imported,
        studies.c.num_epochs,
        studies.c.num_stagnant,
        SPEC_TEXT,
        select(func.count())
        .where(trials.c.study_id == studies.c.id, trials.c.state == TrialState.RUNNING)
        .scalar_subquery()
        .label("num_running"),
        _TRIALS.where(trials.c.state == TrialState.WAITING).exists().label("has_waiting"),
        _TRIALS.where(trials.c.state == TrialState.PAUSED).exists().label("has_paused"),
    )
    .where(studies.c.state == StudyState.RUNNING)
    .order_by(studies.c.id)
)
_UPDATE = update(studies).where(studies.c.id == bindparam("study_id"))
_CHANGE = Columns(_UPDATE, "study_id")
_COUNT_TRIAL = Bulk(_UPDATE.values(num_trials=studies.c.num_trials + 1), "study_id")
_SPEND_SLOT = Bulk(_UPDATE.values(slot_s=studies.c.slot_s + bindparam("seconds", type_=Double)), "study_id", "seconds")
_COUNT_STAGNANT = Bulk(
    _UPDATE.values(num_stagnant=studies.c.num_stagnant + 1).where(
        studies.c.best_trial_id.is_distinct_from(bindparam("trial_id", type_=Integer))
    ),
    "study_id",
    "trial_id",
)


def add(tx: Transaction, *, name: str, spec: Mapping[str, Any], digest: str) -> int:
    """Insert a study of a name that this transaction has found free: writers take turns, so it stays free."""
    row = {
        "name": name,
        "spec": spec,
        "submitted_digest": digest,
        "priority": spec.get("priority", 0),
        "state": StudyState.RUNNING,
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    return int(tx.write(insert(studies).returning(studies.c.id), row).scalar_one())


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
        raise NotFound(unknown(name))
    return row


def unknown(name: str) -> str:
    """What is told of a study that does not exist, or not for the one who asks."""
    return f"received the study name {name!r}, but no study has this name"


def by_id(tx: Transaction, study_id: int, *, is_locked: bool = False) -> Record | None:
    """The study of this id, if it still exists; with the text of its body, `spec_text`, in place of `spec`."""
    found: Record | None = tx.only(BY_ID_LOCKED if is_locked else _BY_ID, {"study_id": study_id})
    return found


def of_id(tx: Transaction, study_id: int) -> Record:
    """The study of this id, which exists; as `by_id` has it."""
    found: Record = tx.records(_BY_ID, {"study_id": study_id})[0]
    return found


def running(tx: Transaction) -> Records:
    """Running studies, the oldest first.

    Returns:
        What decides whose turn it is: names, priorities and the counts that limits are held against, the text of the
        body, `spec_text`, the count of running trials, `num_running`, and whether there are trials that wait or are
        paused, `has_waiting` and `has_paused`.
    """
    return tx.records(RUNNING, {})


def in_state(tx: Transaction, *states: StudyState) -> Records:
    """All studies in these states, the oldest first."""
    return tx.read(select(studies).where(studies.c.state.in_(states)).order_by(studies.c.id)).all()


def change(tx: Transaction, study_id: int, **values: Any) -> None:
    """Set columns of a study."""
    tx.write_one(_CHANGE, {"study_id": study_id, "updated_at": tx.now, **values})


def count_trial(tx: Transaction, study_id: int) -> None:
    """Count one more trial."""
    tx.write_one(_COUNT_TRIAL, {"study_id": study_id})


def count_stagnant(tx: Transaction, study_id: int, trial_id: int) -> None:
    """Count one more trial that ended or paused since the best value, unless it is the best one itself."""
    tx.write_one(_COUNT_STAGNANT, {"study_id": study_id, "trial_id": trial_id})


def spend_slot(tx: Transaction, study_id: int, seconds: float) -> None:
    """Count the time that an attempt has taken a slot for."""
    tx.write_one(_SPEND_SLOT, {"study_id": study_id, "seconds": seconds})


def gained(tx: Transaction, study_id: int, trial_id: int | None, best_value: float | None) -> None:
    """Set a new best value, and whose it is."""
    values = {"best_value": best_value, "best_trial_id": trial_id, "num_stagnant": 0}
    tx.write_one(_CHANGE, {"study_id": study_id, **values})


def remove(tx: Transaction, study_id: int) -> None:
    """Delete a study with everything that belongs to it."""
    tx.write(delete(studies).where(studies.c.id == study_id))
    tx.tell_gone(study_id)


def last_seqs(tx: Transaction) -> dict[int, int]:
    """Number of the last event of every study."""
    return {row.id: row.last_event_seq for row in tx.read(select(studies.c.id, studies.c.last_event_seq))}


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


def begun_at(tx: Transaction, study_id: int) -> datetime | None:
    """When the first trial of a study began to be trained; None if none has."""
    statement = (
        select(attempts.c.started_at)
        .join(trials, trials.c.id == attempts.c.trial_id)
        .where(trials.c.study_id == study_id, attempts.c.attempt == 1)
        .order_by(trials.c.number)
        .limit(1)
    )
    found: datetime | None = tx.read(statement).scalar_one_or_none()
    return found
