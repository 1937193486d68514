"""Where leased trials and their studies stand, read and written for many reports at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ARRAY, BigInteger, String, bindparam, column, func, select, update
from sqlalchemy.sql.selectable import Select

from service.store.prepared import Bulk, Query
from service.store.schema import leases, studies, trials
from service.store.transaction import Transaction


@dataclass(slots=True)
class StudyStanding:
    """A study, as far as its reports change it.

    Attributes:
        id: The study.
        name: Its name.
        last_seq: Its last stored event.
        num_epochs: Epochs reported, as stored.
        best_value: Best value of any trial.
        best_trial_id: The trial that reached it; set once it is a trial of these reports.
    """

    id: int
    name: str
    last_seq: int
    num_epochs: int
    best_value: float | None
    best_trial_id: int | None = None


@dataclass(slots=True)
class Standing:
    """A trial, as far as its reports change it.

    Attributes:
        id: The trial.
        study: Its study.
        number: Its number.
        attempt: Its newest attempt.
        token: Of its current lease; None without one.
        leased_at: When that attempt began.
        value: Best value.
        best_epoch: Whose it is.
        num_epochs: Its last epoch.
        checkpoint_epoch: Epoch of the checkpoint that it can go on from.
        elapsed_s: Seconds of training.
    """

    id: int
    study: StudyStanding
    number: int
    attempt: int
    token: str | None
    leased_at: datetime | None
    value: float | None
    best_epoch: int | None
    num_epochs: int
    checkpoint_epoch: int | None
    elapsed_s: float | None = None


def _statement(is_sqlite: bool) -> Select[Any]:
    # One parameter for all ids, so that the text of the statement stays the same.
    ids: Any
    if is_sqlite:
        ids = trials.c.id.in_(select(column("value")).select_from(func.json_each(bindparam("ids", type_=String))))
    else:
        ids = trials.c.id == func.any(bindparam("ids", type_=ARRAY(BigInteger)))
    return (
        select(
            trials.c.id,
            trials.c.study_id,
            trials.c.number,
            trials.c.attempt,
            leases.c.token,
            leases.c.started_at,
            trials.c.value,
            trials.c.best_epoch,
            trials.c.num_epochs,
            trials.c.checkpoint_epoch,
            studies.c.name,
            studies.c.last_event_seq,
            studies.c.num_epochs.label("study_num_epochs"),
            studies.c.best_value,
        )
        .select_from(trials)
        .join(studies, studies.c.id == trials.c.study_id)
        .outerjoin(leases, leases.c.trial_id == trials.c.id)
        .where(ids)
    )


_STANDINGS = {is_sqlite: Query(_statement(is_sqlite)) for is_sqlite in (True, False)}
_CHANGED = ("value", "best_epoch", "num_epochs", "elapsed_s", "checkpoint_epoch")
_CHANGE = Bulk(
    update(trials).where(trials.c.id == bindparam("trial")).values({name: bindparam(name) for name in _CHANGED}),
    "trial",
    *_CHANGED,
)
_RENEW = Bulk(
    update(leases).where(leases.c.trial_id == bindparam("trial")).values(expires_at=bindparam("until")),
    "trial",
    "until",
)


def read(tx: Transaction, trial_ids: Collection[int]) -> dict[int, Standing]:
    """Where these trials stand, by id; those that do not exist are left out."""
    ids = orjson.dumps(list(trial_ids)).decode() if tx.is_sqlite else list(trial_ids)
    found: dict[int, Standing] = {}
    known: dict[int, StudyStanding] = {}
    for row in tx.rows(_STANDINGS[tx.is_sqlite], {"ids": ids}):
        (trial_id, study_id, number, attempt, token, begun_at, value, best, last, checkpoint, *of_study) = row
        study = known.get(study_id)
        if study is None:
            study = known[study_id] = StudyStanding(study_id, *of_study)
            tx.last_seqs[study_id] = study.last_seq
        found[trial_id] = Standing(trial_id, study, number, attempt, token, begun_at, value, best, last, checkpoint)
    return found


def write(tx: Transaction, changed: Sequence[Standing], *, renewed: Collection[int], until: datetime) -> None:
    """Store what reports have changed, and renew leases.

    Args:
        changed: Trials that have reported something new.
        renewed: Trials whose leases go on.
        until: When these run out.
    """
    if changed:
        rows = [
            {
                "trial": one.id,
                "value": one.value,
                "best_epoch": one.best_epoch,
                "num_epochs": one.num_epochs,
                "elapsed_s": one.elapsed_s,
                "checkpoint_epoch": one.checkpoint_epoch,
            }
            for one in changed
        ]
        tx.write_all(_CHANGE, rows)
    if renewed:
        tx.write_all(_RENEW, [{"trial": trial_id, "until": until} for trial_id in renewed])
