"""Queries on webhooks, and on the secrets that they sign with, which only `secrets` reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update

from caviar.contract.errors import NotFound
from service.store.prepared import Query
from service.store.schema import deliveries, webhook_secrets, webhooks
from service.store.transaction import Record, Records, Transaction

# The lock keeps a webhook from being deleted before the messages that are written for it are committed.
_ACTIVE = Query(
    select(webhooks).where(webhooks.c.is_active).order_by(webhooks.c.id).with_for_update(read=True, key_share=True)
)


def active(tx: Transaction) -> Records:
    """Webhooks that are told something, the oldest first; none of them goes before the commit."""
    return tx.records(_ACTIVE, {})


def add(tx: Transaction, **values: Any) -> int:
    """Insert a webhook; returns its id."""
    row = {"created_at": tx.now, "updated_at": tx.now, **values}
    return int(tx.write(insert(webhooks).returning(webhooks.c.id), row).scalar_one())


def unknown(webhook_id: int) -> str:
    """What is said of an id that no webhook has."""
    return f"received the webhook id {webhook_id}, but no webhook has this id"


def get(tx: Transaction, webhook_id: int, *, is_locked: bool = False) -> Record:
    """The webhook of this id.

    Args:
        is_locked: Hold its row until the commit, where the database locks rows.
    Raises:
        NotFound: There is none.
    """
    statement = select(webhooks).where(webhooks.c.id == webhook_id)
    row = tx.read(statement.with_for_update() if is_locked else statement).one_or_none()
    if row is None:
        raise NotFound(unknown(webhook_id))
    return row


def every(tx: Transaction) -> Records:
    """All webhooks, the oldest first."""
    return tx.read(select(webhooks).order_by(webhooks.c.id)).all()


def of_creator(tx: Transaction, token_id: int | None, name: str) -> Records:
    """The webhooks that were created with a token, or by a person without one, the oldest first."""
    return tx.read(select(webhooks).where(_is_by(token_id, name)).order_by(webhooks.c.id)).all()


def count_of(tx: Transaction, token_id: int | None, name: str) -> int:
    """How many webhooks were created with a token, or by a person without one."""
    return int(tx.read(select(func.count()).select_from(webhooks).where(_is_by(token_id, name))).scalar_one())


def _is_by(token_id: int | None, name: str) -> ColumnElement[bool]:
    if token_id is not None:
        return webhooks.c.token_id == token_id
    return and_(webhooks.c.token_id.is_(None), webhooks.c.created_by == name)


def change(tx: Transaction, webhook_id: int, **values: Any) -> None:
    """Set columns of a webhook."""
    tx.write(update(webhooks).where(webhooks.c.id == webhook_id), {"updated_at": tx.now, **values})


def remove(tx: Transaction, webhook_id: int) -> None:
    """Delete a webhook with its secrets and deliveries."""
    tx.write(delete(webhooks).where(webhooks.c.id == webhook_id))


def add_secret(tx: Transaction, webhook_id: int, secret: str) -> None:
    """Sign with this secret from now on."""
    tx.write(insert(webhook_secrets), {"webhook_id": webhook_id, "secret": secret})


def retire_secrets(tx: Transaction, webhook_id: int, until: datetime) -> None:
    """Sign with the present secret until then only; those before it go at once."""
    of_webhook = webhook_secrets.c.webhook_id == webhook_id
    tx.write(delete(webhook_secrets).where(of_webhook, webhook_secrets.c.expires_at.is_not(None)))
    tx.write(update(webhook_secrets).where(of_webhook), {"expires_at": until})


def secrets(tx: Transaction, webhook_id: int) -> Sequence[str]:
    """What messages of a webhook are signed with now, the newest secret first."""
    statement = (
        select(webhook_secrets.c.secret)
        .where(
            webhook_secrets.c.webhook_id == webhook_id,
            or_(webhook_secrets.c.expires_at.is_(None), webhook_secrets.c.expires_at > tx.now),
        )
        .order_by(webhook_secrets.c.id.desc())
    )
    return tx.read(statement).scalars().all()


def old_secrets_until(tx: Transaction, webhook_ids: Sequence[int]) -> dict[int, datetime]:
    """Until when messages are signed with a former secret as well, by webhook, where they are."""
    statement = select(webhook_secrets.c.webhook_id, webhook_secrets.c.expires_at).where(
        webhook_secrets.c.webhook_id.in_(webhook_ids), webhook_secrets.c.expires_at > tx.now
    )
    return {row.webhook_id: row.expires_at for row in tx.read(statement)}


def counts(tx: Transaction, webhook_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Kept deliveries by state, by webhook."""
    statement = (
        select(deliveries.c.webhook_id, deliveries.c.state, func.count().label("num"))
        .where(deliveries.c.webhook_id.in_(webhook_ids))
        .group_by(deliveries.c.webhook_id, deliveries.c.state)
    )
    found: dict[int, dict[str, int]] = {webhook_id: {} for webhook_id in webhook_ids}
    for row in tx.read(statement):
        found[row.webhook_id][row.state] = row.num
    return found
