"""Queries on artifacts, the files of trials. One that is doomed counts no more: its file goes, then its row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import BindParameter, Engine, Select, bindparam, delete, func, insert, select, update

from service.store.prepared import Bulk, Query
from service.store.schema import artifacts, trials
from service.store.transaction import Record, Records, Transaction

CHECKPOINT, WEIGHTS = "checkpoint", "weights"

_LIVE = artifacts.c.doomed_at.is_(None)
_OF_KIND = (artifacts.c.trial_id == bindparam("trial"), artifacts.c.kind == bindparam("of_kind"), _LIVE)
_INSERT = insert(artifacts).returning(artifacts)
_NEWEST_OF_ALL = select(artifacts).where(*_OF_KIND).order_by(artifacts.c.epoch.desc(), artifacts.c.id.desc()).limit(1)
_NEWEST = Query(_NEWEST_OF_ALL)
_NEWEST_OF_EPOCH = _NEWEST_OF_ALL.where(artifacts.c.epoch == bindparam("of_epoch"))
_NEWEST_UP_TO = _NEWEST_OF_ALL.where(artifacts.c.epoch <= bindparam("last_epoch"))
_DOOM = update(artifacts).where(_LIVE).values(doomed_at=bindparam("now"))
_DOOM_ONE = _DOOM.where(artifacts.c.id == bindparam("artifact"))
_DOOM_OLDER = _DOOM.where(*_OF_KIND, artifacts.c.epoch <= bindparam("last_epoch"), artifacts.c.id != bindparam("kept"))
_DOOM_OF_KIND = Bulk(_DOOM.where(*_OF_KIND), "trial", "of_kind", "now")
_DOOM_LATER = _DOOM.where(artifacts.c.trial_id == bindparam("trial"), artifacts.c.epoch > bindparam("last_epoch"))
_DOOM_STUDY = _DOOM.where(artifacts.c.study_id == bindparam("study"))
# In portions, because both databases limit the number of parameters of a statement.
_PORTION = 500


def _better(*, is_minimized: bool) -> Select[int]:
    value = trials.c.value
    reached: BindParameter[float] = bindparam("value")
    is_better = value < reached if is_minimized else value > reached
    is_earlier = (value == reached) & (trials.c.number < bindparam("number"))
    return (
        select(func.count(trials.c.id.distinct()).label("num"))
        .join(artifacts, artifacts.c.trial_id == trials.c.id)
        .where(trials.c.study_id == bindparam("study"), artifacts.c.kind == WEIGHTS, _LIVE, is_better | is_earlier)
    )


_NUM_BETTER = {is_minimized: Query(_better(is_minimized=is_minimized)) for is_minimized in (True, False)}


def prefix(engine: Engine) -> str:
    """What the names of a database's files begin with, so that several services may share a store."""
    url = engine.url
    place = str(Path(url.database or "").absolute()) if url.drivername == "sqlite" else f"{url.host}:{url.port}"
    digest = hashlib.sha256(f"{url.get_backend_name()} {place} {url.database}".encode()).hexdigest()
    return f"caviar-{digest[:12]}-"


def add(
    tx: Transaction,
    *,
    trial: Record,
    kind: str,
    attempt: int,
    epoch: int,
    name: str,
    size_bytes: int,
    sha256: str,
) -> Record:
    """Insert the row of a file that is in the store."""
    row = {
        "study_id": trial.study_id,
        "trial_id": trial.id,
        "kind": kind,
        "attempt": attempt,
        "epoch": epoch,
        "name": name,
        "size_bytes": size_bytes,
        "sha256": sha256,
        "created_at": tx.now,
    }
    return tx.write(_INSERT, row).one()


def newest(tx: Transaction, trial_id: int, kind: str, *, epoch: int | None = None) -> Record | None:
    """The newest file of a trial, or of one of its epochs."""
    common = {"trial": trial_id, "of_kind": kind}
    if epoch is None:
        found: Record | None = tx.only(_NEWEST, common)
        return found
    return tx.read(_NEWEST_OF_EPOCH, {**common, "of_epoch": epoch}).one_or_none()


def newest_up_to(tx: Transaction, trial_id: int, kind: str, epoch: int) -> Record | None:
    """The newest file of a trial that holds no epoch after this one."""
    return tx.read(_NEWEST_UP_TO, {"trial": trial_id, "of_kind": kind, "last_epoch": epoch}).one_or_none()


def of_trial(tx: Transaction, trial_id: int) -> Records:
    """The files of a trial, the oldest first."""
    return tx.read(select(artifacts).where(artifacts.c.trial_id == trial_id, _LIVE).order_by(artifacts.c.id)).all()


def rival_weights(tx: Transaction, trial: Record, *, is_minimized: bool) -> tuple[int, Record | None]:
    """Whose weights are there, of the trials of a study that are at least as good as one of them, and of that one.

    Returns:
        How many other trials have a better value and weights, where of equal values the earlier trial's counts; and
        the newest weights of the trial itself.
    """
    values = {"study": trial.study_id, "value": trial.value, "number": trial.number}
    [better], own = tx.all_records(
        (_NUM_BETTER[is_minimized], values), (_NEWEST, {"trial": trial.id, "of_kind": WEIGHTS})
    )
    return int(better.num), own[0] if own else None


def weights_of_study(tx: Transaction, study_id: int, *, is_minimized: bool) -> Records:
    """Weights of a study as `(id, trial_id)`, those of the best trial first."""
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    statement = (
        select(artifacts.c.id, artifacts.c.trial_id)
        .join(trials, trials.c.id == artifacts.c.trial_id)
        .where(artifacts.c.study_id == study_id, artifacts.c.kind == WEIGHTS, _LIVE)
        .order_by(order.nulls_last(), trials.c.number, artifacts.c.id.desc())
    )
    return tx.read(statement).all()


def doom(tx: Transaction, artifact_id: int) -> None:
    """Give up one file."""
    tx.write(_DOOM_ONE, {"artifact": artifact_id, "now": tx.now})


def doom_older(tx: Transaction, trial_id: int, kind: str, *, kept: Record) -> None:
    """Give up the files of a trial up to the epoch of one that is kept."""
    values = {"trial": trial_id, "of_kind": kind, "last_epoch": kept.epoch, "kept": kept.id}
    tx.write(_DOOM_OLDER, {**values, "now": tx.now})


def doom_kind(tx: Transaction, trial_id: int, kind: str) -> None:
    """Give up all files of a trial that are of one kind."""
    tx.write_one(_DOOM_OF_KIND, {"trial": trial_id, "of_kind": kind, "now": tx.now})


def doom_later(tx: Transaction, trial_id: int, epoch: int) -> None:
    """Give up the files of a trial that hold later epochs than this one; 0 for all of them."""
    tx.write(_DOOM_LATER, {"trial": trial_id, "last_epoch": epoch, "now": tx.now})


def doom_study(tx: Transaction, study_id: int) -> None:
    """Give up all files of a study."""
    tx.write(_DOOM_STUDY, {"study": study_id, "now": tx.now})


def doom_kind_of_study(tx: Transaction, study_id: int, kind: str) -> None:
    """Give up all files of a study that are of one kind."""
    tx.write(_DOOM_STUDY.where(artifacts.c.kind == kind), {"study": study_id, "now": tx.now})


def doomed(tx: Transaction, *, until: datetime, after: int, limit: int) -> Records:
    """Files that were given up by then, in the order of their ids.

    Args:
        tx: The transaction.
        until: Time by which they were.
        after: Id of the last one of the portion before.
        limit: At most this many.
    """
    statement = (
        select(artifacts)
        .where(artifacts.c.doomed_at <= until, artifacts.c.id > after)
        .order_by(artifacts.c.id)
        .limit(limit)
    )
    return tx.read(statement).all()


def remove(tx: Transaction, artifact_ids: Sequence[int]) -> None:
    """Delete the rows of files that are gone."""
    for start in range(0, len(artifact_ids), _PORTION):
        tx.write(delete(artifacts).where(artifacts.c.id.in_(artifact_ids[start : start + _PORTION])))


def live(tx: Transaction, *, after: int, limit: int) -> Records:
    """Files that somebody needs, in the order of their ids, from the one after `after` on."""
    statement = select(artifacts).where(_LIVE, artifacts.c.id > after).order_by(artifacts.c.id).limit(limit)
    return tx.read(statement).all()


def unknown(tx: Transaction, names: Sequence[str]) -> list[str]:
    """Those of these names that no row tells of."""
    known: set[str] = set()
    for start in range(0, len(names), _PORTION):
        some = names[start : start + _PORTION]
        known.update(tx.read(select(artifacts.c.name).where(artifacts.c.name.in_(some))).scalars())
    return [name for name in names if name not in known]
