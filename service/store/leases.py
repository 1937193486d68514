"""Queries on attempts, which are history, and on leases, the exclusive right that the newest attempt holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from caviar.contract.states import AttemptEnd, Outcome
from service.store import studies as study_rows
from service.store.catalogue import visible
from service.store.prepared import Bulk, Columns, Query
from service.store.schema import attempts, leases, studies, trials, workers
from service.store.studies import SPEC_TEXT
from service.store.transaction import Record, Records, Transaction

_BEGIN = Bulk(
    insert(attempts),
    "trial_id",
    "attempt",
    "token",
    "worker_id",
    "request_id",
    "first_epoch",
    "started_at",
    "evidence",
)
_GRANT = Bulk(insert(leases), *leases.c.keys())
_RENEW = update(leases).where(leases.c.trial_id == bindparam("trial")).values(expires_at=bindparam("until"))
_TAKE_BACK = Bulk(delete(leases).where(leases.c.trial_id == bindparam("trial")), "trial")
_END = Columns(
    update(attempts).where(
        attempts.c.trial_id == bindparam("trial"), attempts.c.attempt == bindparam("nth"), attempts.c.ended_at.is_(None)
    ),
    "trial",
    "nth",
)
_OF_NUMBER = (attempts.c.trial_id == bindparam("trial"), attempts.c.attempt == bindparam("nth"))
_FACTS = select(attempts.c.facts).where(*_OF_NUMBER)
_TELL = Columns(update(attempts).where(*_OF_NUMBER), "trial", "nth")
TOKENS_OF_WORKER = Query(select(leases.c.token).where(leases.c.worker_id == bindparam("worker")))
OF_REQUEST = Query(
    select(attempts.c.token, attempts.c.started_at, leases.c.expires_at)
    .outerjoin(leases, (leases.c.trial_id == attempts.c.trial_id) & (leases.c.attempt == attempts.c.attempt))
    .where(attempts.c.worker_id == bindparam("worker"), attempts.c.request_id == bindparam("request"))
)
_HELD = (
    select(trials, leases.c.token, leases.c.started_at.label("leased_at"), attempts.c.first_epoch, SPEC_TEXT)
    .select_from(leases)
    .join(trials, trials.c.id == leases.c.trial_id)
    .join(studies, studies.c.id == trials.c.study_id)
    .join(attempts, (attempts.c.trial_id == leases.c.trial_id) & (attempts.c.attempt == leases.c.attempt))
    .where(leases.c.worker_id == bindparam("worker"))
    .order_by(trials.c.id)
)


def grant(
    tx: Transaction,
    *,
    trial_id: int,
    study_id: int,
    attempt: int,
    token: str,
    worker_id: str,
    request_id: str,
    first_epoch: int,
    expires_at: datetime,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Begin an attempt and give its worker the lease; `evidence` tells why a paused trial was promoted."""
    common = {"trial_id": trial_id, "attempt": attempt, "token": token, "worker_id": worker_id, "started_at": tx.now}
    tx.write_one(_BEGIN, {**common, "request_id": request_id, "first_epoch": first_epoch, "evidence": evidence})
    tx.write_one(_GRANT, {**common, "study_id": study_id, "expires_at": expires_at})


def renew(tx: Transaction, trial_id: int, until: datetime) -> None:
    """Move the expiry of a trial's lease."""
    tx.write(_RENEW, {"trial": trial_id, "until": until})


def renew_tokens(tx: Transaction, worker_id: str, tokens: Iterable[str], until: datetime) -> set[str]:
    """Move the expiry of those of a worker's leases that are still current, and return their tokens."""
    wanted = list(tokens)
    held: set[str] = set()
    # In portions, because both databases limit the number of parameters of a statement.
    for start in range(0, len(wanted), 500):
        statement = (
            update(leases)
            .where(leases.c.worker_id == worker_id, leases.c.token.in_(wanted[start : start + 500]))
            .values(expires_at=until)
            .returning(leases.c.token)
        )
        held.update(tx.write(statement).scalars())
    return held


def renew_all(tx: Transaction, until: datetime) -> None:
    """Let every lease run out at this time, also those that would run longer: the clock was ahead when they began."""
    tx.write(update(leases).values(expires_at=until))


def move_begins(tx: Transaction, by: timedelta) -> None:
    """Move the time that every lease began at, because the clock was moved."""
    for lease in tx.read(select(leases.c.trial_id, leases.c.started_at)).all():
        moved = update(leases).where(leases.c.trial_id == lease.trial_id)
        tx.write(moved.values(started_at=lease.started_at + by))


def tell(
    tx: Transaction, trial_id: int, attempt: int, *, facts: Mapping[str, Any] | None, log_tail: str | None = None
) -> None:
    """Keep what a worker says of the circumstances of an attempt; what it has said before stays unless said anew."""
    values: dict[str, Any] = {} if log_tail is None else {"log_tail": log_tail}
    if facts:
        values["facts"] = {**facts_of(tx, trial_id, attempt), **facts}
    if values:
        tx.write_one(_TELL, {"trial": trial_id, "nth": attempt, **values})


def facts_of(tx: Transaction, trial_id: int, attempt: int) -> dict[str, Any]:
    """What is known of the circumstances of an attempt, which exists."""
    return tx.read(_FACTS, {"trial": trial_id, "nth": attempt}).scalar_one() or {}


def end(
    tx: Transaction,
    trial: Record,
    how: AttemptEnd,
    *,
    outcome: Outcome | None = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """End the attempt of a trial in training, and take its lease back.

    Args:
        trial: Its row, with `leased_at`.
        how: How it ends.
        outcome: What the worker said, if it did.
        error: What went wrong.
    """
    tx.send_together()
    tx.write_one(_TAKE_BACK, {"trial": trial.id})
    study_rows.spend_slot(tx, trial.study_id, max(0.0, (tx.now - trial.leased_at).total_seconds()))
    ended = {"ended_at": tx.now, "end": how, "outcome": outcome, "error": error}
    tx.write_one(_END, {"trial": trial.id, "nth": trial.attempt, **ended})


def expired(tx: Transaction, limit: int) -> list[int]:
    """Ids of trials whose leases have run out, the longest ago first."""
    statement = (
        select(leases.c.trial_id)
        .where(leases.c.expires_at <= tx.now)
        .order_by(leases.c.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(tx.read(statement).scalars())


def count(tx: Transaction) -> int:
    """How many trials are in training, of studies that exist for the one who acts."""
    counted = select(func.count()).select_from(leases)
    if tx.actor is None or tx.actor.scope is not None:
        counted = counted.join(studies, studies.c.id == leases.c.study_id).where(visible(tx))
    return int(tx.read(counted).scalar_one())


def trials_held(tx: Transaction) -> list[int]:
    """Ids of all trials in training, in their order."""
    return list(tx.read(select(leases.c.trial_id).order_by(leases.c.trial_id)).scalars())


def running(tx: Transaction, study_id: int) -> Records:
    """Leases of a study with the time that each began at."""
    return tx.read(select(leases).where(leases.c.study_id == study_id)).all()


def held_by(tx: Transaction, worker_id: str) -> Records:
    """A worker's leases with their trials, attempts and study bodies, in the order of trial ids; also `leased_at`."""
    return tx.read(_HELD, {"worker": worker_id}).all()


def of_request(tx: Transaction, worker_id: str, request_id: str) -> Records:
    """Attempts that a request was given: `token`, `started_at`, and `expires_at` of the lease, None if it has ended."""
    return tx.records(OF_REQUEST, {"worker": worker_id, "request": request_id})


def attempt_of_token(tx: Transaction, trial_id: int, token: str) -> Record | None:
    """The attempt, ended or not, of a trial that a token was made for."""
    statement = select(attempts).where(attempts.c.token == token, attempts.c.trial_id == trial_id)
    return tx.read(statement).one_or_none()


def first_epoch(tx: Transaction, trial_id: int, attempt: int) -> int:
    """The epoch that an attempt, which exists, began with."""
    statement = select(attempts.c.first_epoch).where(attempts.c.trial_id == trial_id, attempts.c.attempt == attempt)
    return int(tx.read(statement).scalar_one())


def attempts_of(tx: Transaction, trial_id: int) -> Records:
    """Attempts of a trial with the names of their workers, the oldest first."""
    statement = (
        select(attempts, workers.c.name.label("worker_name"))
        .outerjoin(workers, workers.c.id == attempts.c.worker_id)
        .where(attempts.c.trial_id == trial_id)
        .order_by(attempts.c.attempt)
    )
    return tx.read(statement).all()
