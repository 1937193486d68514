"""Queries on measurements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Result, bindparam, insert, select, update

from service.store.prepared import Bulk
from service.store.schema import measurements, trials
from service.store.transaction import Record, Records, Transaction

_INSERT = Bulk(insert(measurements), *measurements.c.keys())
_FIND = select(measurements).where(
    measurements.c.trial_id == bindparam("trial_id"),
    measurements.c.attempt == bindparam("attempt"),
    measurements.c.epoch == bindparam("epoch"),
)

_SUPERSEDE = (
    update(measurements)
    .where(measurements.c.trial_id == bindparam("trial"), measurements.c.epoch >= bindparam("first_epoch"))
    .values(is_current=False)
)
_CURVE = (
    select(measurements.c.epoch, measurements.c.value)
    .where(measurements.c.trial_id == bindparam("trial"), measurements.c.is_current)
    .order_by(measurements.c.epoch)
)
_CURVES = (
    select(measurements.c.trial_id, measurements.c.epoch, measurements.c.value)
    .join(trials, trials.c.id == measurements.c.trial_id)
    .where(trials.c.study_id == bindparam("study"), measurements.c.is_current)
    .order_by(measurements.c.trial_id, measurements.c.epoch)
)
# Few at a time: rows that live only shortly cost half as much as all of them at once.
_PORTION = 500


def find(tx: Transaction, trial_id: int, attempt: int, epoch: int) -> Record | None:
    """The measurement of an epoch of an attempt, if it was reported before."""
    return tx.read(_FIND, {"trial_id": trial_id, "attempt": attempt, "epoch": epoch}).one_or_none()


def add(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert measurements.

    Args:
        rows: `trial_id`, `attempt`, `epoch`, `value`, `metrics`, `elapsed_s`, and what was decided after each on what
            grounds: `decision` and `evidence`.
    """
    if rows:
        tx.write_all(_INSERT, [{**row, "reported_at": tx.now, "is_current": True} for row in rows])


def supersede(tx: Transaction, trial_id: int, first_epoch: int) -> None:
    """Take the epochs from `first_epoch` on out of a trial's curve, because a new attempt trains them again."""
    tx.write(_SUPERSEDE, {"trial": trial_id, "first_epoch": first_epoch})


def curve(tx: Transaction, trial_id: int) -> dict[int, float]:
    """Values of the study's metric by epoch, as the trial's curve stands."""
    rows: Result[int, float] = tx.read(_CURVE, {"trial": trial_id})
    return dict(rows.all())


def of_trial(tx: Transaction, trial_id: int, *, is_current: bool) -> Records:
    """Measurements of a trial by epoch and attempt: those of its curve, or all."""
    statement = select(measurements).where(measurements.c.trial_id == trial_id)
    if is_current:
        statement = statement.where(measurements.c.is_current)
    return tx.read(statement.order_by(measurements.c.epoch, measurements.c.attempt)).all()


def curves(tx: Transaction, study_id: int, *, first: int, last: int) -> Records:
    """`(trial_id, epoch, value)` of the curves of trials `first` to `last`, by trial number and epoch."""
    statement = (
        select(measurements.c.trial_id, measurements.c.epoch, measurements.c.value)
        .join(trials, trials.c.id == measurements.c.trial_id)
        .where(trials.c.study_id == study_id, trials.c.number.between(first, last), measurements.c.is_current)
        .order_by(trials.c.number, measurements.c.epoch)
    )
    return tx.read(statement).all()


def all_curves(tx: Transaction, study_id: int) -> dict[int, dict[int, float]]:
    """Curves of all trials of a study that have one, by trial id: values by epoch, in the order of epochs."""
    found: dict[int, dict[int, float]] = defaultdict(dict)
    rows: Result[int, int, float] = tx.read(_CURVES, {"study": study_id})
    for portion in rows.partitions(_PORTION):
        for trial_id, epoch, value in portion:
            found[trial_id][epoch] = value
    return found
