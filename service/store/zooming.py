"""Queries of the zoom map: where the best trials of a study lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from service.store.schema import trials
from service.store.transaction import Transaction


def num_valued(tx: Transaction, study_id: int) -> int:
    """How many trials of a study have a value."""
    statement = select(func.count()).where(trials.c.study_id == study_id, trials.c.value.is_not(None))
    return int(tx.read(statement).scalar_one())


def values_at(tx: Transaction, study_id: int, ranks: Sequence[int], *, is_minimized: bool) -> list[float]:
    """The values of the trials at these ranks, 0 for the best; each rank is below the number of trials with one."""
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    ranked = (
        select(trials.c.value)
        .where(trials.c.study_id == study_id, trials.c.value.is_not(None))
        .order_by(order)
        .limit(1)
    )
    return [float(tx.read(ranked.offset(rank)).scalar_one()) for rank in ranks]


def best_params(tx: Transaction, study_id: int, *, is_minimized: bool, limit: int) -> list[dict[str, Any]]:
    """Configurations of the best trials, best first."""
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    statement = (
        select(trials.c.params)
        .where(trials.c.study_id == study_id, trials.c.value.is_not(None))
        .order_by(order, trials.c.number)
        .limit(limit)
    )
    return list(tx.read(statement).scalars())


def some_params(tx: Transaction, study_id: int, *, stride: int) -> list[dict[str, Any]]:
    """Configurations of every so manyth trial of a study, by number."""
    statement = select(trials.c.params).where(trials.c.study_id == study_id)
    if stride > 1:
        statement = statement.where(trials.c.number % stride == 0)
    return list(tx.read(statement).scalars())
