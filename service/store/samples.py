"""Which trials of a large study a picture shows: the best ones, those that run, and an even sample of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from caviar.contract.states import TrialState
from service.store.schema import trials
from service.store.transaction import Records, Transaction

_PORTION = 500
_FEW = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """A choice of trials.

    Attributes:
        ids: The chosen trials, in the order of numbers.
        total: Trials that there were to choose from.
        num_best: How many of the best are among them in any case.
        stride: Of so many trials in a row, one is among them in any case; 1 if all are.
    """

    ids: list[int]
    total: int
    num_best: int
    stride: int

    @property
    def how(self) -> str:
        """Which trials these are, as an end of a sentence."""
        if self.stride == 1:
            return "all trials"
        return f"the best {self.num_best}, those that run, and one in {self.stride} of all"


def chosen(
    tx: Transaction, study_id: int, *, is_minimized: bool, limit: int, states: Sequence[TrialState] = ()
) -> Sample:
    """Choose trials of a study for a picture; the same rows give the same choice.

    A quarter of the places goes to the best trials and at most a quarter to those that run; the others are spread
    evenly over the numbers.

    Args:
        tx: Reads them.
        study_id: The study.
        is_minimized: Whether lower values are better.
        limit: At most this many, at least 4.
        states: Only trials in these states; all without any.
    """
    among: list[ColumnElement[bool]] = [trials.c.study_id == study_id]
    if states:
        among.append(trials.c.state.in_(states))
    total = int(tx.read(select(func.count()).select_from(trials).where(*among)).scalar_one())
    if total <= limit:
        ids = list(tx.read(select(trials.c.id).where(*among).order_by(trials.c.number)).scalars())
        return Sample(ids, total, total, 1)
    share = limit // _FEW
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    best = select(trials.c.id).where(*among, trials.c.value.is_not(None)).order_by(order, trials.c.number).limit(share)
    active = (*among, trials.c.state == TrialState.RUNNING)
    kept = set(tx.read(best).scalars())
    running = select(trials.c.id).where(*active).order_by(trials.c.id.desc()).limit(share)
    kept.update(tx.read(running).scalars())
    stride = -(-total // (limit - len(kept)))
    kept.update(tx.read(_spread(among, stride, is_filtered=bool(states))).scalars())
    # Ids of one study rise with its numbers.
    return Sample(sorted(kept), total, share, stride)


def _spread(among: list[ColumnElement[bool]], stride: int, *, is_filtered: bool) -> Select[Any]:
    if not is_filtered:
        # Numbers of a study have no gaps; its index alone answers this, in a tenth of the time.
        return select(trials.c.id).where(*among, trials.c.number % stride == 0)
    place = (func.row_number().over(order_by=trials.c.number) - 1).label("place")
    placed = select(trials.c.id, place).where(*among).subquery()
    return select(placed.c.id).where(placed.c.place % stride == 0)


def facts(tx: Transaction, trial_ids: Sequence[int]) -> Records:
    """What pictures show of trials: `id`, `number`, `state`, `round`, `value`, `num_epochs`, `params`, as asked for."""
    shown = (
        trials.c.id,
        trials.c.number,
        trials.c.state,
        trials.c.round,
        trials.c.value,
        trials.c.num_epochs,
        trials.c.params,
    )
    found = {
        row.id: row
        # In portions, because both databases limit the number of parameters of a statement.
        for start in range(0, len(trial_ids), _PORTION)
        for row in tx.read(select(*shown).where(trials.c.id.in_(trial_ids[start : start + _PORTION])))
    }
    return [found[trial_id] for trial_id in trial_ids]
