"""Queries on workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from caviar.contract.errors import NotFound
from caviar.contract.states import WorkerMode
from service.store.prepared import Bulk, Columns, Query
from service.store.schema import leases, workers
from service.store.transaction import Record, Records, Transaction

_INSERT = Bulk(insert(workers), *workers.c.keys())
_GET = Query(select(workers).where(workers.c.id == bindparam("worker")))
_CHANGE = Columns(update(workers).where(workers.c.id == bindparam("worker")), "worker")


def add(
    tx: Transaction,
    *,
    worker_id: str,
    token_id: int | None,
    name: str,
    host: str,
    slots: int,
    devices: Sequence[Any],
    labels: Mapping[str, str],
    objectives: Sequence[Any],
) -> None:
    """Insert a worker; `token_id` is the token that it registered with."""
    row = {
        "id": worker_id,
        "token_id": token_id,
        "name": name,
        "host": host,
        "slots": slots,
        "devices": devices,
        "labels": labels,
        "objectives": objectives,
        "registered_at": tx.now,
        "seen_at": tx.now,
        "mode": WorkerMode.WORKING,
        "slot_facts": None,
    }
    tx.write_one(_INSERT, row)


def get(tx: Transaction, worker_id: str) -> Record:
    """The worker of this id.

    Raises:
        NotFound: It never registered here.
    """
    row: Record | None = tx.only(_GET, {"worker": worker_id})
    if row is None:
        raise NotFound(unknown(worker_id))
    return row


def unknown(worker_id: str) -> str:
    """What is told of a worker that does not exist, or not for the one who asks."""
    return f"received the worker id {worker_id!r}, but no worker has this id; register again"


def seen(
    tx: Transaction, worker_id: str, *, devices: Sequence[Any] | None = None, slot_facts: Sequence[Any] | None = None
) -> None:
    """Note a sign of life, and what came with it."""
    values: dict[str, Any] = {"seen_at": tx.now}
    if devices is not None:
        values["devices"] = devices
    if slot_facts is not None:
        values["slot_facts"] = slot_facts
    tx.write_one(_CHANGE, {"worker": worker_id, **values})


def set_mode(tx: Transaction, worker_id: str, mode: WorkerMode) -> None:
    """Set what the operator wants of a worker."""
    tx.write_one(_CHANGE, {"worker": worker_id, "mode": mode})


def seen_by_now(tx: Transaction) -> None:
    """Take back signs of life that seem to lie in the future, because the clock was set back."""
    tx.write(update(workers).where(workers.c.seen_at > tx.now).values(seen_at=tx.now))


def seen_since(tx: Transaction, since: datetime) -> Records:
    """Workers that gave a sign of life at this time or later."""
    return tx.read(select(workers).where(workers.c.seen_at >= since)).all()


def page(tx: Transaction, limit: int) -> Records:
    """Workers, those seen last first."""
    return tx.read(select(workers).order_by(workers.c.seen_at.desc(), workers.c.id).limit(limit)).all()


def offers(tx: Transaction) -> Records:
    """What each worker offers, the newest first."""
    return tx.read(select(workers.c.objectives).order_by(workers.c.registered_at.desc())).all()


def held_trials(tx: Transaction, worker_id: str | None = None) -> dict[str, list[int]]:
    """Ids of the trials that each worker, or one of them, holds."""
    held: dict[str, list[int]] = {}
    statement = select(leases.c.worker_id, leases.c.trial_id).order_by(leases.c.trial_id)
    for row in tx.read(statement if worker_id is None else statement.where(leases.c.worker_id == worker_id)):
        held.setdefault(row.worker_id, []).append(row.trial_id)
    return held
