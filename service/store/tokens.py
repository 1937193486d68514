"""Queries on access tokens, share links and browser sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update

from caviar.contract.errors import NotFound
from service.domain.principal import Kind
from service.store.schema import alias_of, tokens
from service.store.transaction import Record, Records, Transaction

_parents = alias_of(tokens, "parents")


def add(
    tx: Transaction,
    *,
    kind: str,
    role: str,
    name: str,
    digest: str,
    scope: Sequence[str] | None = None,
    parent_id: int | None = None,
    created_by: str | None = None,
    expires_at: datetime | None = None,
) -> int:
    """Insert a token by its digest and return its id."""
    row = {
        "kind": kind,
        "role": role,
        "name": name,
        "scope": None if scope is None else list(scope),
        "parent_id": parent_id,
        "created_by": created_by,
        "secret_digest": digest,
        "created_at": tx.now,
        "expires_at": expires_at,
    }
    return int(tx.write(insert(tokens).returning(tokens.c.id), row).scalar_one())


def find(tx: Transaction, digest: str) -> Record | None:
    """The token that this digest lets in now, by its secret or by the one before the last rotation.

    Returns:
        Its row; of a session that was opened with a token, `parent` columns tell of that token, which lets in as well.
    """
    is_current = tokens.c.secret_digest == digest
    is_old = and_(tokens.c.old_digest == digest, tokens.c.old_expires_at > tx.now)
    told = (_parents.c.role, _parents.c.name, _parents.c.scope, _parents.c.kind)
    statement = (
        select(tokens, *(column.label(f"parent_{column.name}") for column in told))
        .outerjoin(_parents, _parents.c.id == tokens.c.parent_id)
        .where(or_(is_current, is_old), _is_valid(tx, tokens))
        .where(or_(tokens.c.parent_id.is_(None), _is_valid(tx, _parents)))
    )
    return tx.read(statement).one_or_none()


def _is_valid(tx: Transaction, table: Any) -> ColumnElement[bool]:
    return and_(table.c.revoked_at.is_(None), or_(table.c.expires_at.is_(None), table.c.expires_at > tx.now))


def get(tx: Transaction, token_id: int) -> Record:
    """The token or share link of this id; sessions are not found so.

    Raises:
        NotFound: There is none.
    """
    row = tx.read(select(tokens).where(tokens.c.id == token_id, tokens.c.kind != Kind.SESSION)).one_or_none()
    if row is None:
        raise NotFound(unknown(token_id))
    return row


def unknown(token_id: int) -> str:
    """What is told of a token that does not exist, or not for the one who asks."""
    return f"received the token id {token_id}, but no token has this id"


def of_settings(tx: Transaction) -> Record | None:
    """The administrator's token of the settings."""
    statement = select(tokens).where(tokens.c.kind == Kind.ACCESS, tokens.c.created_by.is_(None))
    return tx.read(statement.order_by(tokens.c.id).limit(1)).one_or_none()


def listed(tx: Transaction, limit: int) -> Records:
    """Tokens and share links, the newest first."""
    statement = select(tokens).where(tokens.c.kind != Kind.SESSION).order_by(tokens.c.id.desc()).limit(limit)
    return tx.read(statement).all()


def valid_shares(tx: Transaction) -> Records:
    """Share links that let in now."""
    return tx.read(select(tokens).where(tokens.c.kind == Kind.SHARE, _is_valid(tx, tokens))).all()


def num_sessions(tx: Transaction) -> dict[int, int]:
    """How many browsers are signed in with each token."""
    statement = (
        select(tokens.c.parent_id, func.count().label("amount"))
        .where(tokens.c.kind == Kind.SESSION, tokens.c.parent_id.is_not(None), _is_valid(tx, tokens))
        .group_by(tokens.c.parent_id)
    )
    return {row.parent_id: row.amount for row in tx.read(statement)}


def change(tx: Transaction, token_id: int, **values: Any) -> None:
    """Set columns of a token."""
    tx.write(update(tokens).where(tokens.c.id == token_id).values(**values))


def used(tx: Transaction, token_ids: Sequence[int], before: datetime) -> None:
    """Note that tokens were used, unless that was noted after a time."""
    is_due = or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < before)
    tx.write(update(tokens).where(tokens.c.id.in_(token_ids), is_due).values(last_used_at=tx.now))


def remove(tx: Transaction, digest: str) -> None:
    """Delete a session."""
    tx.write(delete(tokens).where(tokens.c.secret_digest == digest, tokens.c.kind == Kind.SESSION))


def remove_sessions(tx: Transaction, *, parent_id: int | None, name: str) -> int:
    """Delete the sessions of a token, or of a person who signed in elsewhere, and tell how many that were."""
    statement = delete(tokens).where(tokens.c.kind == Kind.SESSION)
    if parent_id is None:
        statement = statement.where(tokens.c.parent_id.is_(None), tokens.c.name == name)
    else:
        statement = statement.where(tokens.c.parent_id == parent_id)
    return int(tx.write(statement).rowcount)


def remove_kind(tx: Transaction, kind: str) -> int:
    """Delete all tokens of a kind, and say how many there were."""
    return tx.write(delete(tokens).where(tokens.c.kind == kind)).rowcount


def remove_expired_sessions(tx: Transaction) -> None:
    """Delete the sessions whose time is over."""
    tx.write(delete(tokens).where(tokens.c.kind == Kind.SESSION, tokens.c.expires_at <= tx.now))
