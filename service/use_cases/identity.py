"""Access tokens and browser sessions: secrets are compared by their SHA-256, and stored as nothing else."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from caviar.contract.errors import FieldError, InvalidRequest, Unauthorized
from service.domain.principal import Kind, Principal, Role, Scope
from service.store import tokens
from service.store.transaction import Transaction
from service.use_cases.service import Service

MIN_TOKEN_LENGTH = 16
SESSION_DAYS = 30


def digest(secret: str) -> str:
    """What is stored of a secret. A plain hash is enough, because secrets are long and random."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """A fresh access token of 256 random bits."""
    return secrets.token_urlsafe(32)


def ensure_access(tx: Transaction, secret: str) -> None:
    """Let one token in as administrator, and no other that was let in this way before.

    Raises:
        InvalidRequest: It is too short to be safe.
    """
    if len(secret) < MIN_TOKEN_LENGTH:
        expected = f"at least {MIN_TOKEN_LENGTH} characters; leave the token out to have one made"
        field = FieldError(field="token", received=f"{len(secret)} characters", expected=expected)
        raise InvalidRequest("the access token is too short to be safe", errors=[field])
    tokens.remove_others(tx, kind="access", name="admin", digest=digest(secret))
    if tokens.find(tx, digest(secret)) is None:
        tokens.add(tx, kind="access", role="admin", name="admin", digest=digest(secret))


def authenticate(tx: Transaction, secret: str, *, is_session: bool) -> Principal | None:
    """Who presents this secret; None if nobody may."""
    token = tokens.find(tx, digest(secret))
    if token is None or (token.kind == "session") is not is_session:
        return None
    scope = None if token.scope is None else Scope.of(token.scope)
    return Principal(
        name=token.name,
        role=Role(token.role),
        scope=scope,
        token_id=token.id,
        kind=Kind(token.kind),
        is_session=is_session,
        expires_at=token.expires_at,
    )


def open_session(service: Service, token: str) -> str:
    """Exchange an access token for the secret of a browser session.

    Raises:
        Unauthorized: The token is not valid (401).
    """
    secret = new_secret()

    def operation(tx: Transaction) -> None:
        principal = authenticate(tx, token, is_session=False)
        if principal is None:
            raise Unauthorized("this access token is not valid; `caviar token show` prints the current one")
        tokens.remove_expired(tx)
        expires_at = tx.now + timedelta(days=SESSION_DAYS)
        tokens.add(
            tx,
            kind="session",
            role=principal.role,
            name=principal.name,
            digest=digest(secret),
            expires_at=expires_at,
        )

    service.write(operation)
    return secret


def close_session(service: Service, secret: str) -> None:
    """End a browser session."""
    service.write(lambda tx: tokens.remove(tx, digest(secret)))
