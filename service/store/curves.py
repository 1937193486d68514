"""Queries on learning curves of many trials at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from caviar.contract.states import TrialState
from service.store.schema import measurements, trials
from service.store.transaction import Record, Records, Transaction

# In portions, because both databases limit the number of parameters of a statement.
_PORTION = 1000
_FACTS = (
    trials.c.id,
    trials.c.number,
    trials.c.state,
    trials.c.stop_reason,
    trials.c.value,
    trials.c.best_epoch,
    trials.c.num_epochs,
)


def at_epoch(
    tx: Transaction,
    study_id: int,
    *,
    epoch: int,
    low: float | None,
    high: float | None,
    metric: str | None,
    is_minimized: bool,
    states: Sequence[TrialState],
    stride: int,
) -> Records:
    """`(id, value)` of the trials whose curve passes through a gate, in no particular order.

    Args:
        tx: Reads them.
        study_id: The study.
        epoch: Where the gate is.
        low: Its lower end, included; None for none.
        high: Its upper end, included; None for none.
        metric: What is compared there; None for the study's metric.
        is_minimized: Whether lower values of the study's metric are better.
        states: Only trials in these states; all without any.
        stride: Only every so manyth trial is looked at.
    """
    here = measurements.c.value if metric is None else _metric(metric)
    statement = (
        select(trials.c.id, trials.c.value)
        .join(measurements, measurements.c.trial_id == trials.c.id)
        .where(trials.c.num_epochs >= epoch)
        .where(measurements.c.epoch == epoch, measurements.c.is_current, here.is_not(None))
    )
    if stride == 1:
        statement = statement.where(trials.c.study_id == study_id)
    else:
        even = select(trials.c.id).where(trials.c.study_id == study_id, trials.c.number % stride == 0).subquery()
        # A table to begin with: with the study as a condition, SQLite looks at all its trials first.
        statement = statement.join(even, even.c.id == trials.c.id)
    if states:
        statement = statement.where(trials.c.state.in_(states))
    if low is not None:
        statement = statement.where(here >= low)
    if high is not None:
        statement = statement.where(here <= high)
    # The best value is at least as good as the one at the gate: most trials fail this test, which is the cheaper one.
    if metric is None and is_minimized and high is not None:
        statement = statement.where(trials.c.value <= high)
    if metric is None and not is_minimized and low is not None:
        statement = statement.where(trials.c.value >= low)
    return tx.read(statement).all()


def best(tx: Transaction, study_id: int, *, is_minimized: bool, states: Sequence[TrialState], limit: int) -> list[int]:
    """Ids of the best trials, the best first."""
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    statement = select(trials.c.id).where(trials.c.study_id == study_id, trials.c.value.is_not(None))
    if states:
        statement = statement.where(trials.c.state.in_(states))
    return list(tx.read(statement.order_by(order, trials.c.number).limit(limit)).scalars())


def numbered(tx: Transaction, study_id: int, number: int) -> Record | None:
    """Facts of the trial of this number, if there is one."""
    statement = select(*_FACTS).where(trials.c.study_id == study_id, trials.c.number == number)
    return tx.read(statement).one_or_none()


def facts(tx: Transaction, trial_ids: Sequence[int]) -> list[Record]:
    """`id`, `number`, `state`, `stop_reason`, `value`, `best_epoch`, `num_epochs` of trials, by number."""
    found: list[Record] = []
    for start in range(0, len(trial_ids), _PORTION):
        found += tx.read(select(*_FACTS).where(trials.c.id.in_(trial_ids[start : start + _PORTION])))
    return sorted(found, key=lambda row: row.number)


def points(tx: Transaction, trial_ids: Sequence[int], *, metric: str | None, stride: int) -> Records:
    """`(trial_id, epoch, value)` of the curves of trials, by trial and epoch.

    Args:
        tx: Reads them.
        trial_ids: The trials.
        metric: A metric; epochs without it are left out. None for the study's metric.
        stride: Only every so manyth epoch, and of each curve the first, the last and the best one.
    """
    value = (measurements.c.value if metric is None else _metric(metric)).label("value")
    found: list[Record] = []
    for start in range(0, len(trial_ids), _PORTION):
        some = measurements.c.trial_id.in_(trial_ids[start : start + _PORTION])
        statement = select(measurements.c.trial_id, measurements.c.epoch, value).where(some, measurements.c.is_current)
        if metric is not None:
            statement = statement.where(value.is_not(None))
        if stride > 1:
            epoch = measurements.c.epoch
            ends = or_(epoch == 1, epoch == trials.c.num_epochs, epoch == trials.c.best_epoch, epoch % stride == 0)
            statement = statement.join(trials, trials.c.id == measurements.c.trial_id).where(ends)
        found += tx.read(statement.order_by(measurements.c.trial_id, measurements.c.epoch))
    return found


def metric_names(tx: Transaction, trial_ids: Sequence[int]) -> list[str]:
    """Names of the metrics that trials reported with their first epochs, in the order of the alphabet."""
    statement = select(measurements.c.metrics).where(
        measurements.c.trial_id.in_(trial_ids[:_PORTION]), measurements.c.epoch == 1, measurements.c.is_current
    )
    return sorted({name for metrics in tx.read(statement).scalars() for name in metrics})


def _metric(name: str) -> ColumnElement[Any]:
    picked: ColumnElement[Any] = measurements.c.metrics[name].as_float()
    return picked
