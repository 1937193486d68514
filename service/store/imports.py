"""Queries of imports: many trials at once, with their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Integer, bindparam, insert, literal, select, update

from service.domain.repeats import params_digest
from service.store.schema import measurements, studies, trials
from service.store.transaction import Records, Transaction

_COPIED = ("epoch", "value", "metrics", "elapsed_s")
_COPY = insert(measurements).from_select(
    ["trial_id", "attempt", "reported_at", "is_current", *_COPIED],
    select(
        bindparam("new_id", type_=Integer),
        literal(0),
        bindparam("now", type_=measurements.c.reported_at.type),
        literal(True),
        *(measurements.c[name] for name in _COPIED),
    ).where(
        measurements.c.trial_id == bindparam("old_id", type_=Integer),
        measurements.c.epoch <= bindparam("last_epoch", type_=Integer),
        measurements.c.is_current,
    ),
    include_defaults=False,
)


def portion(tx: Transaction, study_id: int, *, first: int, limit: int) -> Records:
    """Trials of a study from number `first` on, in the order of numbers."""
    statement = (
        select(trials)
        .where(trials.c.study_id == study_id, trials.c.number >= first)
        .order_by(trials.c.number)
        .limit(limit)
    )
    return tx.read(statement).all()


def params(tx: Transaction, study_id: int, *, first: int) -> list[dict[str, Any]]:
    """Configurations of the trials of a study from number `first` on."""
    statement = select(trials.c.params).where(trials.c.study_id == study_id, trials.c.number >= first)
    return list(tx.read(statement).scalars())


def add_trials(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Insert trials of one study.

    Returns:
        Their ids, by number.
    """
    digested = [{**row, "params_digest": params_digest(row["params"])} for row in rows]
    inserted = tx.write(insert(trials).returning(trials.c.id, trials.c.number), digested)
    return {row.number: row.id for row in inserted}


def add_measurements(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert measurements."""
    tx.write(insert(measurements), rows)


def copy_curves(tx: Transaction, copies: Sequence[Mapping[str, int]]) -> None:
    """Copy curves with all their metrics, as of an attempt 0 that nobody here has made.

    Args:
        tx: Writes them.
        copies: `old_id` of the trial that has a curve, `new_id` of the one that gets it, and `last_epoch` to copy.
    """
    tx.write(_COPY, [{**copy, "now": tx.now} for copy in copies])


def count(tx: Transaction, study_id: int, num_trials: int) -> None:
    """Count so many more trials of a study, all of them imported."""
    counted = {"num_trials": studies.c.num_trials + num_trials, "num_imported": studies.c.num_imported + num_trials}
    tx.write(update(studies).where(studies.c.id == study_id).values(**counted))
