"""Workers making themselves known."""

from __future__ import annotations

import uuid

from caviar.contract.messages import RegisterWorker, WorkerRegistered
from service.domain.principal import Right
from service.store import workers
from service.store.transaction import Transaction
from service.use_cases import access


def register(tx: Transaction, body: RegisterWorker, *, lease_ttl_s: float) -> WorkerRegistered:
    """Store a worker and give it an id.

    Args:
        body: Who it is and what it can train.
        lease_ttl_s: Seconds that its leases will last without a renewal.
    Raises:
        Forbidden: Who acts is no worker (403).
    """
    actor = access.check(tx, Right.WORK)
    worker_id = str(uuid.uuid4())
    workers.add(
        tx,
        worker_id=worker_id,
        token_id=actor.token_id,
        name=body.name,
        host=body.host,
        slots=body.slots,
        devices=[device.model_dump(mode="json") for device in body.devices],
        labels=body.labels,
        objectives=[offer.model_dump(mode="json") for offer in body.objectives],
    )
    return WorkerRegistered(worker_id=worker_id, lease_ttl_s=lease_ttl_s)
