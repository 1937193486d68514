"""Queries on rungs: who came how far, and what was decided there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select

from caviar.contract.states import TrialState
from service.store.schema import attempts, measurements, trials
from service.store.transaction import Record, Records, Transaction

_PORTION = 500
_STANDING = (trials.c.id, trials.c.number, trials.c.state, trials.c.num_epochs, trials.c.promoted_epoch)


def standings(tx: Transaction, study_id: int) -> Records:
    """`state`, `num_epochs`, `promoted_epoch` and `amount`: how many trials stand how far."""
    columns = (trials.c.state, trials.c.num_epochs, trials.c.promoted_epoch)
    statement = select(*columns, func.count().label("amount")).where(trials.c.study_id == study_id)
    return tx.read(statement.group_by(*columns)).all()


def numbered(tx: Transaction, study_id: int, *, stride: int) -> Records:
    """`number`, `state`, `num_epochs` and `promoted_epoch` of every so manyth trial."""
    statement = select(*_STANDING[1:]).where(trials.c.study_id == study_id, trials.c.number % stride == 0)
    return tx.read(statement.order_by(trials.c.number)).all()


def best(tx: Transaction, study_id: int, *, is_minimized: bool, limit: int) -> Records:
    """Standings of the trials with the best values, best first."""
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    statement = select(*_STANDING).where(trials.c.study_id == study_id, trials.c.value.is_not(None))
    return tx.read(statement.order_by(order, trials.c.number).limit(limit)).all()


def newest_at(tx: Transaction, study_id: int, epoch: int, *, limit: int) -> Records:
    """Standings of the trials of the highest numbers that have come to an epoch."""
    statement = select(*_STANDING).where(trials.c.study_id == study_id, trials.c.num_epochs >= epoch)
    return tx.read(statement.order_by(trials.c.number.desc()).limit(limit)).all()


def of_numbers(tx: Transaction, study_id: int, numbers: Sequence[int]) -> Records:
    """Standings of the trials of these numbers, at most 500."""
    return tx.read(select(*_STANDING).where(trials.c.study_id == study_id, trials.c.number.in_(numbers))).all()


def values_at(tx: Transaction, trial_ids: Sequence[int], epoch: int, *, is_minimized: bool) -> dict[int, float]:
    """The best value of each trial's curve up to an epoch."""
    best = func.min(measurements.c.value) if is_minimized else func.max(measurements.c.value)
    found: dict[int, float] = {}
    # In portions, because both databases limit the number of parameters of a statement.
    for start in range(0, len(trial_ids), _PORTION):
        statement = (
            select(measurements.c.trial_id, best.label("value"))
            .where(
                measurements.c.trial_id.in_(trial_ids[start : start + _PORTION]),
                measurements.c.epoch <= epoch,
                measurements.c.is_current,
            )
            .group_by(measurements.c.trial_id)
        )
        found |= {row.trial_id: row.value for row in tx.read(statement)}
    return found


def decisions(tx: Transaction, trial_ids: Sequence[int]) -> Iterator[Record]:
    """`trial_id`, `decision`, `evidence` and `at` of what was decided about trials, the earliest first."""
    shown = (
        measurements.c.trial_id,
        measurements.c.decision,
        measurements.c.evidence,
        measurements.c.reported_at.label("at"),
    )
    for start in range(0, len(trial_ids), _PORTION):
        some = measurements.c.trial_id.in_(trial_ids[start : start + _PORTION])
        statement = select(*shown).where(some, measurements.c.decision.is_not(None))
        yield from tx.read(statement.order_by(measurements.c.reported_at))


def promotions(tx: Transaction, trial_ids: Sequence[int]) -> Iterator[Record]:
    """`trial_id`, `evidence` and `at` of promotions of trials, the earliest first."""
    shown = (attempts.c.trial_id, attempts.c.evidence, attempts.c.started_at.label("at"))
    for start in range(0, len(trial_ids), _PORTION):
        some = attempts.c.trial_id.in_(trial_ids[start : start + _PORTION])
        statement = select(*shown).where(some, attempts.c.evidence.is_not(None)).order_by(attempts.c.started_at)
        yield from tx.read(statement)


def newest_stops(tx: Transaction, study_id: int, *, limit: int) -> Records:
    """`id`, `number`, `num_epochs`, `value` and `evidence` of the pruned trials of the highest numbers."""
    shown = (trials.c.id, trials.c.number, trials.c.num_epochs, trials.c.value, trials.c.evidence)
    statement = select(*shown).where(trials.c.study_id == study_id, trials.c.state == TrialState.PRUNED)
    return tx.read(statement.order_by(trials.c.number.desc()).limit(limit)).all()
