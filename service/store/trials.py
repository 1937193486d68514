"""Queries on trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, func, insert, select, update

from caviar.contract.errors import NotFound
from caviar.contract.states import TrialState
from service.store.schema import leases, studies, trials, workers
from service.store.transaction import Record, Records, Transaction

_INSERT = insert(trials)
# Wider than the column: an id from a request may be any number that JSON can carry.
_ID = bindparam("trial_id", type_=BigInteger)
_GET = select(trials).where(trials.c.id == _ID)
_LEASED = (
    select(
        trials,
        leases.c.token,
        leases.c.expires_at,
        leases.c.started_at.label("leased_at"),
        studies.c.name.label("study_name"),
        studies.c.state.label("study_state"),
        studies.c.num_epochs.label("study_num_epochs"),
    )
    .select_from(trials)
    .join(studies, studies.c.id == trials.c.study_id)
    .outerjoin(leases, leases.c.trial_id == trials.c.id)
    .where(trials.c.id == _ID)
)
_LEASED_LOCKED = _LEASED.with_for_update(of=trials)
_MEASURED = (
    update(trials)
    .where(trials.c.id == bindparam("trial_id"))
    .values(
        value=bindparam("new_value"),
        best_epoch=bindparam("new_best_epoch"),
        num_epochs=bindparam("new_num_epochs"),
        elapsed_s=bindparam("new_elapsed_s"),
    )
)


def add(
    tx: Transaction, *, study_id: int, number: int, params: Mapping[str, Any], origin: str, round_number: int | None
) -> int:
    """Insert a waiting trial and return its id."""
    row = {
        "study_id": study_id,
        "number": number,
        "state": TrialState.WAITING,
        "origin": origin,
        "round": round_number,
        "params": params,
        "created_at": tx.now,
    }
    inserted = tx.write(_INSERT, row).inserted_primary_key
    assert inserted is not None  # noqa: S101  # both databases return the key of a one-row insert
    return int(inserted[0])


def get(tx: Transaction, trial_id: int) -> Record:
    """The trial of this id.

    Raises:
        NotFound: There is none.
    """
    row = tx.read(_GET, {"trial_id": trial_id}).one_or_none()
    if row is None:
        raise NotFound(f"received the trial id {trial_id}, but no trial has this id")
    return row


def with_lease(tx: Transaction, trial_id: int) -> Record:
    """A trial with its current lease (`token`, `expires_at`, `leased_at`; None without one) and its study's standing.

    The row stays locked until the commit, where the database locks rows.

    Raises:
        NotFound: There is no such trial.
    """
    row = tx.read(_LEASED_LOCKED, {"trial_id": trial_id}).one_or_none()
    if row is None:
        raise NotFound(f"received the trial id {trial_id}, but no trial has this id")
    return row


def change(tx: Transaction, trial_id: int, **values: Any) -> None:
    """Set columns of a trial."""
    tx.write(update(trials).where(trials.c.id == trial_id).values(**values))


def measured(
    tx: Transaction, trial_id: int, *, value: float, best_epoch: int, num_epochs: int, elapsed_s: float
) -> None:
    """Set what a report changes."""
    parameters = {
        "trial_id": trial_id,
        "new_value": value,
        "new_best_epoch": best_epoch,
        "new_num_epochs": num_epochs,
        "new_elapsed_s": elapsed_s,
    }
    tx.write(_MEASURED, parameters)


def next_waiting(tx: Transaction, study_id: int, first: Sequence[int] = ()) -> Record | None:
    """The trial to be run next: lost and released ones first, then enqueued ones, each in the order of numbers.

    Args:
        study_id: The study.
        first: Ids of trials that come before all others.
    """
    statement = (
        select(trials)
        .where(trials.c.study_id == study_id, trials.c.state == TrialState.WAITING)
        .order_by(trials.c.id.not_in(first), (trials.c.attempt == 0), trials.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return tx.read(statement).one_or_none()


def unfinished(tx: Transaction, study_id: int) -> Records:
    """Trials that wait, run or are paused."""
    states = (TrialState.WAITING, TrialState.RUNNING, TrialState.PAUSED)
    statement = (
        select(trials).where(trials.c.study_id == study_id, trials.c.state.in_(states)).order_by(trials.c.number)
    )
    return tx.read(statement).all()


def num_in_state(tx: Transaction, study_id: int, *states: TrialState) -> int:
    """How many trials of a study are in these states."""
    statement = select(func.count()).where(trials.c.study_id == study_id, trials.c.state.in_(states))
    return int(tx.read(statement).scalar_one())


def of_study(tx: Transaction, study_id: int) -> Records:
    """All trials of a study in the order of their numbers."""
    return tx.read(select(trials).where(trials.c.study_id == study_id).order_by(trials.c.number)).all()


def _shown() -> Select[Any]:
    return select(trials, workers.c.name.label("worker_name")).outerjoin(workers, workers.c.id == trials.c.worker_id)


def shown(tx: Transaction, trial_id: int) -> Record:
    """A trial with its study and the name of its worker.

    Raises:
        NotFound: There is no such trial.
    """
    statement = (
        _shown()
        .add_columns(studies.c.name.label("study_name"), studies.c.spec.label("study_spec"))
        .join(studies, studies.c.id == trials.c.study_id)
        .where(trials.c.id == _ID)
    )
    row = tx.read(statement, {"trial_id": trial_id}).one_or_none()
    if row is None:
        raise NotFound(f"received the trial id {trial_id}, but no trial has this id")
    return row


def page(tx: Transaction, study_id: int, *, limit: int, after: int | None) -> Records:
    """Trials with the names of their workers, in the order of numbers above `after`."""
    statement = _shown().where(trials.c.study_id == study_id).order_by(trials.c.number).limit(limit)
    if after is not None:
        statement = statement.where(trials.c.number > after)
    return tx.read(statement).all()


def ranked(tx: Transaction, study_id: int, *, is_minimized: bool, limit: int, offset: int) -> Records:
    """Trials with the names of their workers, best value first, those without a value last."""
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    statement = (
        _shown()
        .where(trials.c.study_id == study_id)
        .order_by(order.nulls_last(), trials.c.number)
        .limit(limit)
        .offset(offset)
    )
    return tx.read(statement).all()


def best(tx: Transaction, study_id: int, *, is_minimized: bool) -> Record | None:
    """The trial with the best value, the earlier one of equals; None while no trial has a value."""
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    statement = (
        select(trials)
        .where(trials.c.study_id == study_id, trials.c.value.is_not(None))
        .order_by(order, trials.c.number)
        .limit(1)
    )
    return tx.read(statement).one_or_none()
