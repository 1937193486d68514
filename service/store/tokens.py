"""Queries on access tokens and browser sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, or_, select

from service.store.schema import tokens
from service.store.transaction import Record, Transaction


def add(tx: Transaction, *, kind: str, role: str, name: str, digest: str, expires_at: datetime | None = None) -> None:
    """Insert a token by its digest."""
    row = {
        "kind": kind,
        "role": role,
        "name": name,
        "secret_digest": digest,
        "created_at": tx.now,
        "expires_at": expires_at,
    }
    tx.write(insert(tokens), row)


def find(tx: Transaction, digest: str) -> Record | None:
    """The token of this digest, unless it has expired."""
    statement = select(tokens).where(
        tokens.c.secret_digest == digest, or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > tx.now)
    )
    return tx.read(statement).one_or_none()


def remove(tx: Transaction, digest: str) -> None:
    """Delete a token."""
    tx.write(delete(tokens).where(tokens.c.secret_digest == digest))


def remove_others(tx: Transaction, *, kind: str, name: str, digest: str) -> None:
    """Delete tokens of this kind and name but one."""
    tx.write(delete(tokens).where(tokens.c.kind == kind, tokens.c.name == name, tokens.c.secret_digest != digest))


def remove_kind(tx: Transaction, kind: str) -> int:
    """Delete all tokens of a kind, and say how many there were."""
    return tx.write(delete(tokens).where(tokens.c.kind == kind)).rowcount


def remove_expired(tx: Transaction) -> None:
    """Delete the tokens whose time is over."""
    tx.write(delete(tokens).where(tokens.c.expires_at <= tx.now))
