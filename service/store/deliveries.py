"""Queries on deliveries: messages of webhooks, written with the change that they tell of and sent afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, literal_column, select, update

from caviar.contract.errors import NotFound
from caviar.contract.states import StopReason, TrialState
from caviar.contract.webhooks import DeliveryState, WebhookEvent
from service.store.schema import deliveries, trials, webhooks
from service.store.transaction import Record, Records, Transaction

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


def add(tx: Transaction, values: Mapping[str, Any]) -> int:
    """Insert a message that waits; returns the id of its delivery."""
    row = {"created_at": tx.now, "state": DeliveryState.WAITING, "attempts": 0, **values}
    return int(tx.write(insert(deliveries).returning(deliveries.c.id), row).scalar_one())


def last(tx: Transaction, webhook_id: int, study_id: int, event: WebhookEvent) -> Record | None:
    """The newest message of a kind about a study."""
    statement = (
        select(deliveries)
        .where(deliveries.c.webhook_id == webhook_id, deliveries.c.study_id == study_id, deliveries.c.event == event)
        .order_by(deliveries.c.id.desc())
        .limit(1)
    )
    return tx.read(statement).one_or_none()


def replace_unsent(tx: Transaction, delivery_id: int, body: str) -> bool:
    """Give a message that was never sent another body; false if it is being sent by now."""
    unsent = (
        deliveries.c.id == delivery_id,
        deliveries.c.state == DeliveryState.WAITING,
        deliveries.c.attempts == 0,
    )
    return bool(tx.write(update(deliveries).where(*unsent), {"body": body}).rowcount)


def is_any_due(tx: Transaction) -> bool:
    """Whether a message is to be sent now."""
    return tx.read(_due(tx.now).limit(1)).first() is not None


def _due(now: datetime) -> Select[Any]:
    return (
        select(deliveries.c.id)
        .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
        .where(deliveries.c.next_attempt_at <= now, webhooks.c.is_active)
    )


def claim(tx: Transaction, *, limit: int, per_webhook: int, busy: Collection[int], until: datetime) -> Records:
    """Take messages that are due, for nobody else to send.

    Args:
        limit: How many at most.
        per_webhook: How many of one webhook at most, so that none holds up the others.
        busy: Webhooks that get nothing now.
        until: When they are due again, should whoever took them be gone.
    Returns:
        Their rows, each with the `url` of its webhook.
    """
    order = (deliveries.c.next_attempt_at, deliveries.c.id)
    place = func.row_number().over(partition_by=deliveries.c.webhook_id, order_by=order).label("place")
    placed = _due(tx.now).where(deliveries.c.webhook_id.not_in(busy)).add_columns(place).subquery()
    first = select(placed.c.id).where(placed.c.place <= per_webhook).order_by(placed.c.place, placed.c.id).limit(limit)
    # Another process may have taken some of them meanwhile: those are locked, or no longer due.
    free = (
        select(deliveries.c.id)
        .where(deliveries.c.id.in_(first), deliveries.c.next_attempt_at <= tx.now)
        .with_for_update(skip_locked=True)
    )
    values = {
        "state": DeliveryState.SENDING,
        "attempts": deliveries.c.attempts + 1,
        "last_attempt_at": tx.now,
        "next_attempt_at": until,
    }
    taken = update(deliveries).where(deliveries.c.id.in_(free)).values(values).returning(deliveries.c.id)
    ids = tx.write(taken).scalars().all()
    shown = (
        select(deliveries, webhooks.c.url)
        .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
        .where(deliveries.c.id.in_(ids))
        .order_by(*order)
    )
    return tx.read(shown).all() if ids else []


def settle(tx: Transaction, delivery_id: int, attempts: int, **values: Any) -> bool:
    """Store how an attempt went; false if a later attempt has begun meanwhile, or the delivery is gone."""
    own = (
        deliveries.c.id == delivery_id,
        deliveries.c.attempts == attempts,
        deliveries.c.state == DeliveryState.SENDING,
    )
    return bool(tx.write(update(deliveries).where(*own), values).rowcount)


def find(tx: Transaction, delivery_id: int) -> Record | None:
    """The delivery of this id, if it still exists."""
    return tx.read(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()


def get(tx: Transaction, webhook_id: int, delivery_id: int, *, is_locked: bool = False) -> Record:
    """A delivery of a webhook.

    Raises:
        NotFound: It has none of this id.
    """
    statement = select(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.webhook_id == webhook_id)
    row = tx.read(statement.with_for_update() if is_locked else statement).one_or_none()
    if row is None:
        raise NotFound(f"received the delivery id {delivery_id}, but webhook {webhook_id} has no delivery of this id")
    return row


def change(tx: Transaction, delivery_id: int, **values: Any) -> None:
    """Set columns of a delivery."""
    tx.write(update(deliveries).where(deliveries.c.id == delivery_id), values)


def page(
    tx: Transaction, webhook_id: int, *, limit: int, after: int | None = None, state: DeliveryState | None = None
) -> Records:
    """Deliveries of a webhook, the newest first.

    Args:
        limit: How many at most.
        after: Id of the last one of the page before.
        state: Only those in this state.
    """
    statement = select(deliveries).where(deliveries.c.webhook_id == webhook_id)
    if after is not None:
        statement = statement.where(deliveries.c.id < after)
    if state is not None:
        statement = statement.where(deliveries.c.state == state)
    return tx.read(statement.order_by(deliveries.c.id.desc()).limit(limit)).all()


def remove_old(tx: Transaction, until: datetime, limit: int) -> int:
    """Delete deliveries that ended and are older than this; returns how many."""
    old = (
        select(deliveries.c.id)
        .where(deliveries.c.created_at <= until, deliveries.c.next_attempt_at.is_(None))
        .order_by(deliveries.c.created_at)
        .limit(limit)
    )
    return int(tx.write(delete(deliveries).where(deliveries.c.id.in_(old))).rowcount)


def failures(tx: Transaction, study_id: int, since: datetime) -> dict[str, int]:
    """Trials of a study that failed since then, by reason; divergences are left out."""
    statement = (
        select(trials.c.stop_reason, func.count().label("num"))
        .where(
            trials.c.study_id == study_id,
            # Written out, so that the index of failed trials alone is used.
            trials.c.state == literal_column("'failed'"),
            trials.c.ended_at >= since,
            trials.c.stop_reason != StopReason.DIVERGED,
        )
        .group_by(trials.c.stop_reason)
    )
    return {row.stop_reason: row.num for row in tx.read(statement)}


def num_ended(tx: Transaction, study_id: int, since: datetime) -> int:
    """Trials of a study that completed, failed or were pruned since then."""
    statement = select(func.count()).where(
        trials.c.study_id == study_id, trials.c.state.in_(_ENDED), trials.c.ended_at >= since
    )
    return int(tx.read(statement).scalar_one())
