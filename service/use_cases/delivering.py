"""Sending the messages of webhooks: taking what is due, and storing how it went."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from caviar.contract.webhooks import DeliveryState
from service.domain import news
from service.store import deliveries, webhooks
from service.store.transaction import Transaction

_GONE = 410
_PORTION = 500


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message that this process is to send.

    Attributes:
        delivery_id: Its delivery.
        webhook_id: Its webhook.
        message_id: What receivers know it by.
        attempt: How often it is sent with this time, from 1.
        url: Where to.
        body: What.
        secrets: To sign with, the newest first.
    """

    delivery_id: int
    webhook_id: int
    message_id: str
    attempt: int
    url: str
    body: str
    secrets: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reply:
    """How an attempt went.

    Attributes:
        status: HTTP status of the answer; None if there was none.
        error: Why the message does not count as delivered; None if it does.
    """

    status: int | None = None
    error: str | None = None


def is_due(tx: Transaction) -> bool:
    """Whether there is something to send."""
    return deliveries.is_any_due(tx)


def claim(tx: Transaction, *, limit: int, per_webhook: int, busy: Collection[int], lease_s: float) -> list[Parcel]:
    """Take what is due, for no other process to send.

    Args:
        limit: How many messages at most.
        per_webhook: How many of one webhook at most.
        busy: Webhooks whose receivers are busy with us.
        lease_s: Seconds after which a message is due again whose sender has not said how it went.
    """
    until = tx.now + timedelta(seconds=lease_s)
    rows = deliveries.claim(tx, limit=limit, per_webhook=per_webhook, busy=busy, until=until)
    secrets = {webhook_id: webhooks.secrets(tx, webhook_id) for webhook_id in {row.webhook_id for row in rows}}
    return [
        Parcel(row.id, row.webhook_id, row.message_id, row.attempts, row.url, row.body, secrets[row.webhook_id])
        for row in rows
    ]


def settle(tx: Transaction, parcel: Parcel, reply: Reply, chance: random.Random) -> DeliveryState | None:
    """Store how an attempt went: it is delivered, waits for the next attempt, or is given up.

    A receiver that answers 410 wants nothing any more: its webhook is turned off.

    Returns:
        What has become of the delivery; None if it is no longer this attempt's.
    """
    row = deliveries.find(tx, parcel.delivery_id)
    if row is None:
        return None
    again = None
    if reply.error is None:
        state = DeliveryState.DELIVERED
    else:
        is_gone = reply.status == _GONE
        again = None if is_gone else news.next_attempt_at(parcel.attempt, tx.now, row.give_up_at, chance)
        state = DeliveryState.FAILED if again is None else DeliveryState.WAITING
    values = {"state": state, "status": reply.status, "error": reply.error, "next_attempt_at": again}
    if not deliveries.settle(tx, parcel.delivery_id, parcel.attempt, **values):
        return None
    if reply.status == _GONE:
        webhooks.change(tx, parcel.webhook_id, is_active=False)
    return state


def remove_old(tx: Transaction, keep_days: float) -> int:
    """Delete a portion of the deliveries that ended and were written more than so many days ago.

    Returns:
        How many; as many as a portion means that more may be there.
    """
    return deliveries.remove_old(tx, tx.now - timedelta(days=keep_days), _PORTION)
