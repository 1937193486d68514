"""The audit log: who did what, from where, on which object; written in the transaction that does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from caviar.contract.errors import Forbidden
from caviar.contract.identity import AuditEntry, AuditPage
from service.domain.principal import Principal, Right
from service.store import audit
from service.store.transaction import Record, Transaction
from service.use_cases import access

_LONGEST_OBJECT = 200
_LONGEST_ADDRESS = 64
_LONGEST_REQUEST_ID = 100


def record(tx: Transaction, action: str, about: str, **details: JsonValue) -> None:
    """Write down what the one who acts does in this transaction. What the service does by itself is not written down.

    Args:
        tx: The transaction that does it.
        action: What is done: a noun and a verb, such as `study.create`.
        about: What it is done to: a kind, a colon, and a name or id, such as `study:digits-mlp`.
        details: What else is worth knowing; never a secret.
    """
    actor = tx.actor
    if actor is None:
        raise ValueError(f"nobody acts in a transaction that writes down {action}; let somebody act in it")
    if actor.token_id is not None or actor.is_session:
        record_for(tx, actor, action, about, **details)


def record_for(tx: Transaction, actor: Principal, action: str, about: str, **details: JsonValue) -> None:
    """Write down what somebody does who does not act in this transaction, such as one who signs in only now."""
    origin = actor.origin
    row = {
        "actor": actor.name,
        "role": actor.role,
        "token_id": actor.token_id,
        "address": None if origin.address is None else origin.address[:_LONGEST_ADDRESS],
        "request_id": None if origin.request_id is None else origin.request_id[:_LONGEST_REQUEST_ID],
        "action": action,
        "object": about[:_LONGEST_OBJECT],
        "details": details,
    }
    audit.add(tx, row)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are asked for.

    Attributes:
        actor: Name of who acted.
        action: What was done, such as `study.create`, or `study` for everything that was done to studies.
        about: What it was done to, such as `study:digits-mlp`.
        since: Not before this time.
        until: Before this time.
        after: Number of the last entry of the page before.
        limit: At most this many.
    """

    actor: str | None = None
    action: str | None = None
    about: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int | None = None
    limit: int = 100


def page(tx: Transaction, query: AuditQuery) -> AuditPage:
    """Entries that are asked for, the newest first.

    Raises:
        Forbidden: Who acts is no administrator of everything (403).
    """
    _require_admin(tx)
    rows = audit.page(
        tx,
        actor=query.actor,
        action=query.action,
        about=query.about,
        since=query.since,
        until=query.until,
        after=query.after,
        limit=query.limit + 1,
    )
    items = [_entry(row) for row in rows[: query.limit]]
    return AuditPage(items=items, next_after=items[-1].entry_id if len(rows) > query.limit else None)


def actions(tx: Transaction) -> list[str]:
    """Everything that was done at least once.

    Raises:
        Forbidden: Who acts is no administrator of everything (403).
    """
    _require_admin(tx)
    return audit.actions(tx)


def _require_admin(tx: Transaction) -> None:
    if access.check(tx, Right.ADMINISTER).scope is not None:
        raise Forbidden("the scope of this token is limited to some studies; the audit log tells of all")


def _entry(row: Record) -> AuditEntry:
    same = ("at", "actor", "role", "token_id", "address", "request_id", "action", "object", "details")
    return AuditEntry(entry_id=row.id, **{name: row._mapping[name] for name in same})


def remove_old(tx: Transaction, before: datetime, limit: int | None = None) -> int:
    """Remove what was written down before a time, the oldest first and at most `limit` entries.

    Returns:
        How many entries that were.
    """
    return audit.remove_before(tx, before, limit)
