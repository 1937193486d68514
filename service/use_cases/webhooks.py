"""Webhooks: create, read, edit, delete, try out, give another secret; their deliveries."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Sequence
from datetime import timedelta

import orjson
from pydantic import SecretStr

from caviar.contract.errors import FieldError, InvalidRequest, NotFound, StateConflict
from caviar.contract.signatures import SECRET_PREFIX
from caviar.contract.webhooks import (
    Deliveries,
    DeliveryState,
    DeliveryView,
    NewSecret,
    NewWebhook,
    SecretShown,
    WebhookEdit,
    Webhooks,
    WebhookView,
)
from service.domain import destinations, news
from service.domain.principal import WILDCARD, Principal, Right, Role, Scope
from service.outbound.sender import Sender
from service.store import deliveries, webhooks
from service.store.transaction import Record, Transaction
from service.use_cases import access, auditing
from service.use_cases.announcing import Announcer
from service.use_cases.service import Service

MAX_WEBHOOKS = 100
_SECRET_BYTES = 32


async def check_address(service: Service, sender: Sender, url: str) -> None:
    """See to it that the one who acts may have webhooks, and that they may send to an address.

    Raises:
        Forbidden: Who acts may have none; nothing was looked up (403).
        InvalidRequest: The address cannot be used (422).
    """
    await asyncio.to_thread(_require, service)
    await sender.check(url)


def _require(service: Service) -> None:
    with service.reading() as tx:
        access.check(tx, Right.CONTROL)


def create(tx: Transaction, body: NewWebhook) -> SecretShown:
    """Store a webhook whose address has been checked.

    Raises:
        Forbidden: Who acts may not create any (403).
        StateConflict: Its creator has too many already (409).
    """
    actor = access.check(tx, Right.CONTROL)
    if webhooks.count_of(tx, actor.token_id, actor.name) >= MAX_WEBHOOKS:
        raise StateConflict(
            f"there are {MAX_WEBHOOKS} webhooks already, which is the most; delete one that is not needed"
        )
    values = body.model_dump(mode="json", exclude={"secret"})
    destination = destinations.parse(body.url)
    creator = {"created_by": actor.name, "token_id": actor.token_id, "scope": _patterns(actor.scope)}
    webhook_id = webhooks.add(tx, **(values | {"url": str(destination)} | creator))
    made = _new_secret(tx, webhook_id, body.secret)
    # Addresses can be secrets themselves, so that the host alone is written down.
    told = {"name": body.name, "host": destination.host, "events": " ".join(body.events)}
    auditing.record(tx, "webhook.create", f"webhook:{webhook_id}", **told)
    return SecretShown(webhook=read(tx, webhook_id), secret=made)


def edit(tx: Transaction, webhook_id: int, body: WebhookEdit) -> WebhookView:
    """Change what is given; a new address has been checked.

    Raises:
        NotFound: There is no such webhook (404).
        InvalidRequest: A field that every webhook has is null (422).
    """
    _get(tx, webhook_id, is_locked=True)
    values = body.model_dump(mode="json", exclude_unset=True)
    missing = [name for name, value in values.items() if value is None and name != "studies"]
    if missing:
        errors = [FieldError(field=name, received=None, expected="a value, or nothing to leave it") for name in missing]
        raise InvalidRequest(f"{len(missing)} field(s) were refused: {', '.join(missing)}", errors=errors)
    if body.url is not None:
        values["url"] = str(destinations.parse(body.url))
    if values:
        webhooks.change(tx, webhook_id, **values)
        auditing.record(tx, "webhook.edit", f"webhook:{webhook_id}", fields=" ".join(sorted(values)))
    return read(tx, webhook_id)


def delete(tx: Transaction, webhook_id: int) -> None:
    """Delete a webhook; what was still to be sent is not sent.

    Raises:
        NotFound: There is no such webhook (404).
    """
    row = _get(tx, webhook_id)
    webhooks.remove(tx, webhook_id)
    auditing.record(tx, "webhook.delete", f"webhook:{webhook_id}", name=row.name)


def rotate(tx: Transaction, webhook_id: int, body: NewSecret) -> SecretShown:
    """Sign with another secret, and for a while with the former one as well.

    Raises:
        NotFound: There is no such webhook (404).
    """
    _get(tx, webhook_id, is_locked=True)
    webhooks.retire_secrets(tx, webhook_id, tx.now + timedelta(seconds=body.keep_s))
    made = _new_secret(tx, webhook_id, body.secret)
    auditing.record(tx, "webhook.rotate", f"webhook:{webhook_id}", keep_s=body.keep_s)
    return SecretShown(webhook=read(tx, webhook_id), secret=made)


def ping(tx: Transaction, announcer: Announcer, webhook_id: int) -> DeliveryView:
    """Write a message that tells nothing, to try a webhook out.

    Raises:
        NotFound: There is no such webhook (404).
        StateConflict: It is turned off (409).
    """
    row = _get(tx, webhook_id)
    if not row.is_active:
        raise StateConflict(f"webhook {webhook_id} is turned off and sends nothing; turn it on first")
    auditing.record(tx, "webhook.ping", f"webhook:{webhook_id}")
    return _delivery(deliveries.get(tx, webhook_id, announcer.ping(tx, row)))


def find(tx: Transaction) -> Webhooks:
    """The webhooks of the one who acts, the oldest first; for an administrator, all of them.

    Raises:
        Forbidden: Who acts may have none (403).
    """
    actor = access.check(tx, Right.CONTROL)
    is_over_all = _sees_all(actor)
    rows = webhooks.every(tx) if is_over_all else webhooks.of_creator(tx, actor.token_id, actor.name)
    return Webhooks(items=_views(tx, rows))


def read(tx: Transaction, webhook_id: int) -> WebhookView:
    """A webhook.

    Raises:
        NotFound: There is none of this id (404).
    """
    return _views(tx, [_get(tx, webhook_id)])[0]


def list_deliveries(
    tx: Transaction, webhook_id: int, *, limit: int = 50, after: int | None = None, state: DeliveryState | None = None
) -> Deliveries:
    """A page of a webhook's deliveries, the newest first.

    Raises:
        NotFound: There is no such webhook (404).
    """
    _get(tx, webhook_id)
    rows = deliveries.page(tx, webhook_id, limit=limit + 1, after=after, state=state)
    items = [_delivery(row) for row in rows[:limit]]
    return Deliveries(items=items, next_after=items[-1].delivery_id if len(rows) > limit else None)


def redeliver(tx: Transaction, webhook_id: int, delivery_id: int) -> DeliveryView:
    """Send a message once more, with the same id, and for another day if it is not taken.

    One that waits is sent at once; one that is being sent stays as it is.

    Raises:
        NotFound: There is no such webhook or delivery (404).
    """
    _get(tx, webhook_id)
    row = deliveries.get(tx, webhook_id, delivery_id, is_locked=True)
    if row.state != DeliveryState.SENDING:
        give_up_at = tx.now + news.PATIENCE
        values = {"state": DeliveryState.WAITING, "next_attempt_at": tx.now, "give_up_at": give_up_at}
        deliveries.change(tx, delivery_id, **values)
        auditing.record(tx, "webhook.redeliver", f"webhook:{webhook_id}", delivery_id=delivery_id)
    return _delivery(deliveries.get(tx, webhook_id, delivery_id))


def _get(tx: Transaction, webhook_id: int, *, is_locked: bool = False) -> Record:
    """A webhook, for whoever created it and for administrators; to others it does not exist."""
    actor = access.check(tx, Right.CONTROL)
    row = webhooks.get(tx, webhook_id, is_locked=is_locked)
    # Whoever came from an identity provider has no token, but a name.
    is_own = row.token_id == actor.token_id and (row.token_id is not None or row.created_by == actor.name)
    if not is_own and not _sees_all(actor):
        raise NotFound(webhooks.unknown(webhook_id))
    return row


def _sees_all(actor: Principal) -> bool:
    return actor.role is Role.ADMIN and actor.scope is None


def _patterns(scope: Scope | None) -> list[str] | None:
    if scope is None:
        return None
    return sorted([*scope.names, *(f"{beginning}{WILDCARD}" for beginning in scope.beginnings)])


def _new_secret(tx: Transaction, webhook_id: int, given: SecretStr | None) -> str | None:
    """Store the secret that is given, or make one and return it."""
    if given is not None:
        webhooks.add_secret(tx, webhook_id, given.get_secret_value())
        return None
    made = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    webhooks.add_secret(tx, webhook_id, made)
    return made


def _views(tx: Transaction, rows: Sequence[Record]) -> list[WebhookView]:
    ids = [row.id for row in rows]
    counts, until = webhooks.counts(tx, ids), webhooks.old_secrets_until(tx, ids)
    return [
        WebhookView(
            webhook_id=row.id,
            name=row.name,
            url=row.url,
            events=row.events,
            studies=row.studies,
            rules=row.rules,
            is_active=row.is_active,
            created_by=row.created_by,
            created_at=row.created_at,
            updated_at=row.updated_at,
            old_secret_until=until.get(row.id),
            counts=counts[row.id],
        )
        for row in rows
    ]


def _delivery(row: Record) -> DeliveryView:
    same = ("webhook_id", "message_id", "event", "study", "state", "attempts", "status", "error")
    times = ("created_at", "last_attempt_at", "next_attempt_at", "give_up_at")
    stored = row._mapping
    return DeliveryView(
        **{name: stored[name] for name in (*same, *times)}, delivery_id=row.id, payload=orjson.loads(row.body)
    )
