"""Where a trial stands in its study: its rank, those before and after it, its repeats, and what it came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from caviar.contract.states import Direction, TrialState
from caviar.contract.views import WorkerView
from service.store import neighbours as rows
from service.store.transaction import Record, Transaction
from service.use_cases import access

_MAX_REPEATS = 50
_MAX_ELITE = 20


@dataclass(frozen=True, slots=True)
class Other:
    """Another trial of the same study."""

    trial_id: int
    number: int
    value: float | None
    state: TrialState


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the exclusive right to a trial.

    Attributes:
        attempt: The attempt that it is for.
        worker: Name of the worker.
        expires_at: When the right ends unless it is renewed.
    """

    attempt: int
    worker: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Parents:
    """The round that proposed a trial.

    Attributes:
        number: Of the round.
        is_manual: Whether a person set its windows.
        elite: The trials that it was made of, best first; at most 20.
    """

    number: int
    is_manual: bool
    elite: list[Other]


@dataclass(frozen=True, slots=True)
class Place:
    """A trial among the others of its study.

    Attributes:
        rank: From 1; None without a value.
        num_ranked: Trials that have a value.
        previous: The one with the next lower number.
        next: The one with the next higher number.
        better: The one that stands right above it.
        worse: The one that stands right below it.
        repeats: Others with equal parameters, at most 50.
        holder: Who trains it now.
        parents: The round that it came from.
    """

    rank: int | None
    num_ranked: int
    previous: Other | None
    next: Other | None
    better: Other | None
    worse: Other | None
    repeats: list[Other]
    holder: Holder | None
    parents: Parents | None


@dataclass(frozen=True, slots=True)
class Training:
    """How far a trial in training is.

    Attributes:
        metric: Name of the metric that `value` is of.
        value: Best so far; None before the first epoch.
    """

    trial_id: int
    study: str
    number: int
    num_epochs: int
    max_epochs: int
    metric: str
    value: float | None


def place(tx: Transaction, trial_id: int, direction: Direction | str) -> Place:
    """Where a trial stands.

    Args:
        trial_id: The trial.
        direction: Of the study's metric.
    Raises:
        NotFound: There is no such trial (404).
    """
    row = access.trial(tx, trial_id)
    is_minimized = direction == Direction.MINIMIZE
    has_value = row.value is not None
    return Place(
        rank=rows.rank(tx, row, is_minimized=is_minimized) if has_value else None,
        num_ranked=rows.num_ranked(tx, row.study_id),
        previous=_other(rows.by_number(tx, row.study_id, row.number, is_before=True)),
        next=_other(rows.by_number(tx, row.study_id, row.number, is_before=False)),
        better=_other(rows.by_rank(tx, row, is_minimized=is_minimized, is_better=True)) if has_value else None,
        worse=_other(rows.by_rank(tx, row, is_minimized=is_minimized, is_better=False)) if has_value else None,
        repeats=[_known(one) for one in rows.repeats(tx, row, _MAX_REPEATS)],
        holder=_holder(rows.lease(tx, trial_id)),
        parents=_parents(tx, row),
    )


def training(tx: Transaction, views: Iterable[WorkerView]) -> dict[int, Training]:
    """How far the trials are that workers hold or speak of, by id."""
    told: set[int] = set()
    for view in views:
        told.update(view.running, (slot.trial_id for slot in view.slot_facts if slot.trial_id is not None))
    return {
        row.id: Training(row.id, row.study, row.number, row.num_epochs, row.max_epochs, row.metric, row.value)
        for row in rows.in_training(tx, sorted(told))
    }


def _parents(tx: Transaction, trial: Record) -> Parents | None:
    opened = None if trial.round is None else rows.round_of(tx, trial.study_id, trial.round)
    if opened is None:
        return None
    wanted = list(opened.elite[:_MAX_ELITE])
    known = {row.number: _known(row) for row in rows.numbered(tx, trial.study_id, wanted)} if wanted else {}
    elite = [known[number] for number in wanted if number in known]
    return Parents(opened.number, opened.origin == "manual", elite)


def _holder(row: Record | None) -> Holder | None:
    return None if row is None else Holder(row.attempt, row.name or row.worker_id, row.expires_at)


def _other(row: Record | None) -> Other | None:
    return None if row is None else _known(row)


def _known(row: Record) -> Other:
    return Other(row.id, row.number, row.value, TrialState(row.state))
