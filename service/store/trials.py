"""Queries on trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, func, insert, or_, select, text, type_coerce, update

from caviar.contract.errors import NotFound
from caviar.contract.states import TrialState
from service.domain.repeats import params_digest
from service.store.prepared import Change, Columns, Query
from service.store.schema import leases, studies, trials, workers
from service.store.studies import SPEC_TEXT
from service.store.transaction import Record, Records, Transaction

_AT_FIRST = {
    "state": TrialState.WAITING,
    "num_epochs": 0,
    "attempt": 0,
    "num_charged": 0,
    "promoted_epoch": 0,
    "is_alone": False,
    "tags": {},
    "note": "",
}
_ADD = Change(
    insert(trials).returning(
        trials.c.id,
        trials.c.study_id,
        trials.c.number,
        trials.c.params,
        trials.c.attempt,
        trials.c.checkpoint_epoch,
        trials.c.promoted_epoch,
        trials.c.is_alone,
    ),
    *_AT_FIRST,
    "study_id",
    "number",
    "origin",
    "round",
    "params",
    "params_digest",
    "space_version",
    "as_of_seq",
    "created_at",
)
# Wider than the column: an id from a request may be any number that JSON can carry.
_ID = bindparam("trial_id", type_=BigInteger)
_ANY_ID = type_coerce(trials.c.id, BigInteger)
_GET = Query(select(trials).where(trials.c.id == _ID))
_LEASED = (
    select(
        trials,
        leases.c.token,
        leases.c.expires_at,
        leases.c.started_at.label("leased_at"),
        studies.c.name.label("study_name"),
        studies.c.state.label("study_state"),
        studies.c.last_event_seq.label("study_last_seq"),
        studies.c.created_at.label("study_created_at"),
        studies.c.num_trials.label("study_num_trials"),
        studies.c.num_imported.label("study_num_imported"),
        studies.c.num_epochs.label("study_num_epochs"),
        studies.c.num_stagnant.label("study_num_stagnant"),
        SPEC_TEXT,
    )
    .select_from(trials)
    .join(studies, studies.c.id == trials.c.study_id)
    .outerjoin(leases, leases.c.trial_id == trials.c.id)
    .where(trials.c.id == _ID)
)
_LEASED_LOCKED = Query(_LEASED.with_for_update(of=trials))
_CHANGE = Columns(update(trials).where(trials.c.id == bindparam("trial_id")), "trial_id")
# More trials than are created between a backup and the loss of its database.
_ID_ROOM = 1_000_000
_IN_STATES = (trials.c.study_id == bindparam("study"), trials.c.state.in_(bindparam("states", expanding=True)))
_COUNT = select(func.count()).where(*_IN_STATES)
_NEXT_WAITING = (
    select(trials)
    .where(trials.c.study_id == bindparam("study"), trials.c.state == TrialState.WAITING)
    .order_by(trials.c.id.not_in(bindparam("first", expanding=True)), (trials.c.attempt == 0), trials.c.number)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_OF_STUDY = (
    select(
        trials.c.id,
        trials.c.number,
        trials.c.state,
        trials.c.stop_reason,
        trials.c.origin,
        trials.c.round,
        trials.c.params,
        trials.c.promoted_epoch,
    )
    .where(trials.c.study_id == bindparam("study"))
    .order_by(trials.c.number)
)
_UNFINISHED = (
    select(trials, leases.c.started_at.label("leased_at"))
    .outerjoin(leases, leases.c.trial_id == trials.c.id)
    .where(*_IN_STATES)
    .order_by(trials.c.number)
)
_ALIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.PAUSED)
_IS_ALIVE = or_(*(trials.c.state == state for state in _ALIVE))
_ANY_UNFINISHED = Query(select(trials.c.id).where(trials.c.study_id == bindparam("study"), _IS_ALIVE).limit(1))


def add(
    tx: Transaction,
    *,
    study_id: int,
    number: int,
    params: Mapping[str, Any],
    origin: str,
    round_number: int | None,
    space_version: int,
    as_of_seq: int | None = None,
) -> Record:
    """Insert a waiting trial.

    Returns:
        What is needed to hand it out: its id, study, number and configuration, and what stands for not having begun.
    """
    row = {
        **_AT_FIRST,
        "study_id": study_id,
        "number": number,
        "origin": origin,
        "round": round_number,
        "params": params,
        "params_digest": params_digest(params),
        "space_version": space_version,
        "as_of_seq": as_of_seq,
        "created_at": tx.now,
    }
    added: Record = tx.change(_ADD, row)[0]
    return added


def get(tx: Transaction, trial_id: int) -> Record:
    """The trial of this id.

    Raises:
        NotFound: There is none.
    """
    row: Record | None = tx.only(_GET, {"trial_id": trial_id})
    if row is None:
        raise NotFound(unknown(trial_id))
    return row


def unknown(trial_id: int) -> str:
    """What is told of a trial that does not exist, or not for the one who asks."""
    return f"received the trial id {trial_id}, but no trial has this id"


def leave_room(tx: Transaction) -> None:
    """Let the next trial of this embedded database have an id that no trial of the same lineage has been given."""
    name, room = {"name": trials.name}, {"room": _ID_ROOM}
    last = tx.read(select(func.coalesce(func.max(trials.c.id), 0))).scalar_one()
    known = tx.read(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), name).scalar()
    tx.write(text("DELETE FROM sqlite_sequence WHERE name = :name"), name)
    tx.write(
        text("INSERT INTO sqlite_sequence VALUES (:name, :last + :room)"),
        {**name, **room, "last": max(last, known or 0)},
    )


def by_number(tx: Transaction, study_id: int, number: int) -> Record:
    """The trial of this number, which exists."""
    return tx.read(select(trials).where(trials.c.study_id == study_id, trials.c.number == number)).one()


def with_lease(tx: Transaction, trial_id: int) -> Record:
    """A trial with its current lease (`token`, `expires_at`, `leased_at`; None without one) and its study's standing.

    The row stays locked until the commit, where the database locks rows.

    Raises:
        NotFound: There is no such trial.
    """
    row: Record | None = tx.only(_LEASED_LOCKED, {"trial_id": trial_id})
    if row is None:
        raise NotFound(unknown(trial_id))
    tx.last_seqs[row.study_id] = row.study_last_seq
    return row


def change(tx: Transaction, trial_id: int, **values: Any) -> None:
    """Set columns of a trial."""
    tx.write_one(_CHANGE, {"trial_id": trial_id, **values})


def next_waiting(tx: Transaction, study_id: int, first: Sequence[int] = ()) -> Record | None:
    """The trial to be run next: lost and released ones first, then enqueued ones, each in the order of numbers.

    Args:
        study_id: The study.
        first: Ids of trials that come before all others.
    """
    return tx.read(_NEXT_WAITING, {"study": study_id, "first": first}).one_or_none()


def named(tx: Transaction, trial_ids: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Study and number of those of these trials that exist, by id."""
    found: dict[int, tuple[str, int]] = {}
    for start in range(0, len(trial_ids), 500):
        statement = (
            select(trials.c.id, studies.c.name, trials.c.number)
            .join(studies, studies.c.id == trials.c.study_id)
            .where(_ANY_ID.in_(trial_ids[start : start + 500]))
        )
        found |= {row.id: (row.name, row.number) for row in tx.read(statement)}
    return found


def unfinished(tx: Transaction, study_id: int) -> Records:
    """Trials that wait, run (`leased_at` tells since when) or are paused."""
    return tx.read(_UNFINISHED, {"study": study_id, "states": _ALIVE}).all()


def any_unfinished(tx: Transaction, study_id: int) -> bool:
    """Whether there are trials that wait, run or are paused."""
    return tx.only(_ANY_UNFINISHED, {"study": study_id}) is not None


def ended_of(tx: Transaction, trial_ids: Sequence[int]) -> set[int]:
    """Those of these ids whose trials have ended or do not exist (any more)."""
    alive: set[int] = set()
    # In portions, because both databases limit the number of parameters of a statement.
    for start in range(0, len(trial_ids), 500):
        some = _ANY_ID.in_(trial_ids[start : start + 500])
        alive.update(tx.read(select(trials.c.id).where(some, trials.c.state.in_(_ALIVE))).scalars())
    return set(trial_ids) - alive


def num_in_state(tx: Transaction, study_id: int, *states: TrialState) -> int:
    """How many trials of a study are in these states."""
    return int(tx.read(_COUNT, {"study": study_id, "states": states}).scalar_one())


def of_study(tx: Transaction, study_id: int) -> Records:
    """What search needs to know of all trials of a study, in the order of their numbers."""
    return tx.read(_OF_STUDY, {"study": study_id}).all()


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
        raise NotFound(unknown(trial_id))
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
