"""Queries on the attempts of a study over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, case, cast, extract, func, literal, select

from caviar.contract.states import AttemptEnd
from service.store.schema import attempts, trials, workers
from service.store.transaction import Records, Transaction


def _within(study_id: int, begin: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    is_open = attempts.c.ended_at.is_(None)
    return trials.c.study_id == study_id, attempts.c.started_at < end, is_open | (attempts.c.ended_at > begin)


def _joined(*columns: Any) -> Select[Any]:
    return select(*columns).select_from(attempts).join(trials, trials.c.id == attempts.c.trial_id)


def between(tx: Transaction, study_id: int, begin: datetime, end: datetime, *, limit: int) -> Records:
    """Attempts that ran within a window of time, in any order, with their slots as far as they were told."""
    shown = (
        trials.c.number,
        trials.c.state,
        (trials.c.attempt == attempts.c.attempt).label("is_last"),
        attempts.c.trial_id,
        attempts.c.attempt,
        attempts.c.worker_id,
        attempts.c.first_epoch,
        attempts.c.started_at,
        attempts.c.ended_at,
        attempts.c.end,
        attempts.c.outcome,
        attempts.c.facts["slot"].as_integer().label("slot"),
    )
    statement = _joined(*shown).where(*_within(study_id, begin, end))
    return tx.read(statement.limit(limit)).all()


def load(tx: Transaction, study_id: int, begin: datetime, end: datetime, *, num_parts: int, stride: int) -> Records:
    """Attempts of every so manyth trial within a window, by worker and by the part of the window that they began in.

    Returns:
        `worker_id`, `part` (from 0; those that began earlier in 0), `num_attempts`, `num_lost`, `busy_s`.
    """
    first, width = int(begin.timestamp()), (end - begin).total_seconds() / num_parts
    started = extract("epoch", attempts.c.started_at)
    ended = extract("epoch", func.coalesce(attempts.c.ended_at, literal(end, attempts.c.ended_at.type)))
    part = cast((case((started > first, started - first), else_=0)) / literal(width), Integer)
    counted = (
        attempts.c.worker_id,
        part.label("part"),
        func.count().label("num_attempts"),
        func.sum(case((attempts.c.end == AttemptEnd.EXPIRED, 1), else_=0)).label("num_lost"),
        func.sum(ended - started).label("busy_s"),
    )
    statement = _joined(*counted).where(*_within(study_id, begin, end), trials.c.number % stride == 0)
    return tx.read(statement.group_by(attempts.c.worker_id, part)).all()


def names_of(tx: Transaction, worker_ids: Sequence[str]) -> Records:
    """`id`, `name` and `slots` of those of these workers that are known."""
    return tx.read(select(workers.c.id, workers.c.name, workers.c.slots).where(workers.c.id.in_(worker_ids))).all()
