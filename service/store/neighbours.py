"""Queries on what stands beside a trial: those before and after it, those as good, and what it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from service.store.schema import leases, rounds, studies, trials, workers
from service.store.transaction import Record, Records, Transaction

_SHOWN = select(trials.c.id, trials.c.number, trials.c.value, trials.c.state)


def by_number(tx: Transaction, study_id: int, number: int, *, is_before: bool) -> Record | None:
    """The trial whose number comes next before or after another's."""
    beyond = trials.c.number < number if is_before else trials.c.number > number
    order = trials.c.number.desc() if is_before else trials.c.number.asc()
    return tx.read(_SHOWN.where(trials.c.study_id == study_id, beyond).order_by(order).limit(1)).one_or_none()


def by_rank(tx: Transaction, trial: Record, *, is_minimized: bool, is_better: bool) -> Record | None:
    """The trial that stands right above or right below another one that has a value."""
    is_lower = is_better == is_minimized
    statement = _beyond(_SHOWN, trial, is_lower=is_lower, is_earlier=is_better)
    value = trials.c.value.desc() if is_lower else trials.c.value.asc()
    number = trials.c.number.desc() if is_better else trials.c.number.asc()
    return tx.read(statement.order_by(value, number).limit(1)).one_or_none()


def rank(tx: Transaction, trial: Record, *, is_minimized: bool) -> int:
    """The place of a trial that has a value, from 1; of equals the earlier one stands first."""
    better = _beyond(select(func.count()), trial, is_lower=is_minimized, is_earlier=True)
    return int(tx.read(better).scalar_one()) + 1


def num_ranked(tx: Transaction, study_id: int) -> int:
    """Trials of a study that have a value."""
    statement = select(func.count()).where(trials.c.study_id == study_id, trials.c.value.is_not(None))
    return int(tx.read(statement).scalar_one())


def _beyond(statement: Select[Any], trial: Record, *, is_lower: bool, is_earlier: bool) -> Select[Any]:
    # The bound on the value alone lets the index on it be used; the rest decides between equals.
    bound = trials.c.value <= trial.value if is_lower else trials.c.value >= trial.value
    strict = trials.c.value < trial.value if is_lower else trials.c.value > trial.value
    beside = trials.c.number < trial.number if is_earlier else trials.c.number > trial.number
    tied: ColumnElement[bool] = and_(trials.c.value == trial.value, beside)
    return statement.where(trials.c.study_id == trial.study_id, bound, or_(strict, tied))


def repeats(tx: Transaction, trial: Record, limit: int) -> Records:
    """Other trials of the same study with equal parameters, in the order of numbers; none of one without a digest."""
    if trial.params_digest is None:
        return []
    same = (trials.c.study_id == trial.study_id, trials.c.params_digest == trial.params_digest)
    return tx.read(_SHOWN.where(*same, trials.c.id != trial.id).order_by(trials.c.number).limit(limit)).all()


def lease(tx: Transaction, trial_id: int) -> Record | None:
    """The lease of a trial with the name of its worker and when that was seen last; None while nobody holds it."""
    statement = (
        select(leases.c.attempt, leases.c.expires_at, leases.c.worker_id, workers.c.name, workers.c.seen_at)
        .outerjoin(workers, workers.c.id == leases.c.worker_id)
        .where(leases.c.trial_id == trial_id)
    )
    return tx.read(statement).one_or_none()


def round_of(tx: Transaction, study_id: int, number: int) -> Record | None:
    """What a round was made of, without its windows."""
    columns = (rounds.c.number, rounds.c.first_trial, rounds.c.origin, rounds.c.elite)
    statement = select(*columns).where(rounds.c.study_id == study_id, rounds.c.number == number)
    return tx.read(statement).one_or_none()


def numbered(tx: Transaction, study_id: int, numbers: Sequence[int]) -> Records:
    """Trials of these numbers, which are a few."""
    return tx.read(_SHOWN.where(trials.c.study_id == study_id, trials.c.number.in_(numbers))).all()


def in_training(tx: Transaction, trial_ids: Sequence[int]) -> Records:
    """How far trials are, each with the name and the limits of its study."""
    found: list[Record] = []
    # In portions, because both databases limit the number of parameters of a statement.
    for start in range(0, len(trial_ids), 500):
        statement = (
            select(
                trials.c.id,
                trials.c.number,
                trials.c.num_epochs,
                trials.c.value,
                studies.c.name.label("study"),
                studies.c.spec["budget"]["max_epochs"].as_integer().label("max_epochs"),
                studies.c.spec["metric"]["name"].as_string().label("metric"),
            )
            .join(studies, studies.c.id == trials.c.study_id)
            .where(trials.c.id.in_(trial_ids[start : start + 500]))
        )
        found += tx.read(statement).all()
    return found
