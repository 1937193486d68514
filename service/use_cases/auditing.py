"""The audit log: who did what, from where, on which object; written in the transaction that does it."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from service.domain.principal import Principal
from service.store import audit
from service.store.transaction import Transaction

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


def remove_old(tx: Transaction, before: datetime) -> int:
    """Remove what was written down before a time.

    Returns:
        How many entries that were.
    """
    return audit.remove_before(tx, before)
