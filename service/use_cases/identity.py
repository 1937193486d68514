"""Secrets and who presents them: they are compared by their SHA-256, and stored as nothing else."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from caviar.contract.errors import FieldError, InvalidRequest, Unauthorized, Unavailable
from service.domain.admission import Guest
from service.domain.principal import Kind, Origin, Principal, Role, Scope
from service.store import tokens
from service.store.transaction import Record, Transaction
from service.use_cases import auditing
from service.use_cases.service import Service

MIN_TOKEN_LENGTH = 16
SESSION_DAYS = 30
PREFIX = "cvr_"
"""What secrets begin with, so that a scanner finds one that lies where it should not."""

_USE_NOTED_EVERY = timedelta(minutes=1)
_NOBODY = Principal("nobody", Role.VIEWER)


def digest(secret: str) -> str:
    """What is stored of a secret. A plain hash is enough, because secrets are long and random."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """A fresh secret of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def form_token(session: str) -> str:
    """What forms of a session carry, so that no other site can send one; it says nothing of the session's secret."""
    return hmac.new(session.encode(), b"caviar form", hashlib.sha256).hexdigest()


def ensure_access(tx: Transaction, secret: str) -> None:
    """Let one token in as administrator, in place of the one that was let in this way before.

    Raises:
        InvalidRequest: It is too short to be safe.
    """
    if len(secret) < MIN_TOKEN_LENGTH:
        expected = f"at least {MIN_TOKEN_LENGTH} characters; leave the token out to have one made"
        field = FieldError(field="token", received=f"{len(secret)} characters", expected=expected)
        raise InvalidRequest("the access token is too short to be safe", errors=[field])
    known, wanted = tokens.of_settings(tx), digest(secret)
    if known is None:
        tokens.add(tx, kind=Kind.ACCESS, role=Role.ADMIN, name="admin", digest=wanted)
    elif known.secret_digest != wanted or known.revoked_at is not None:
        # Its workers stay; browsers that signed in with the old one do not.
        values = {"secret_digest": wanted, "old_digest": None, "old_expires_at": None, "revoked_at": None}
        tokens.change(tx, known.id, **values)
        tokens.remove_sessions(tx, parent_id=known.id, name=known.name)


def recognise(service: Service, secret_digest: str, *, is_session: bool) -> Principal | None:
    """Who presents the secret of a digest, from the database; None if nobody may.

    Whoever it is, is remembered for a few seconds. That the token was used is noted once a minute, by the way.

    Raises:
        Unavailable: The database does not answer (503).
    """
    generation = service.recognition.generation
    with service.reading() as tx:
        token = _valid(tx, secret_digest, is_session=is_session)
        if token is None:
            return None
        ids = [token.id] if token.parent_id is None else [token.id, token.parent_id]
        is_due = token.last_used_at is None or token.last_used_at < tx.now - _USE_NOTED_EVERY
        due_before = tx.now - _USE_NOTED_EVERY
    found = _principal_of(token)
    service.recognition.remember(secret_digest, found, generation=generation)
    if is_due:
        # Nobody waits for it: a service that ends just now forgets one use.
        with suppress(Unavailable):
            service.writer.submit(lambda tx: tokens.used(tx, ids, due_before))
    return found


def _valid(tx: Transaction, secret_digest: str, *, is_session: bool) -> Record | None:
    token = tokens.find(tx, secret_digest)
    return token if token is not None and (token.kind == Kind.SESSION) is is_session else None


def _principal_of(token: Record) -> Principal:
    # A session is as its token, for as long as that is.
    is_session = token.kind == Kind.SESSION
    told = token._mapping
    origin = "parent_" if token.parent_id is not None else ""
    scope = told[f"{origin}scope"]
    kind = Kind(told[f"{origin}kind"])
    return Principal(
        name=told[f"{origin}name"],
        role=Role(told[f"{origin}role"]),
        scope=None if scope is None else Scope.of(scope),
        token_id=token.parent_id if is_session else token.id,
        kind=kind,
        is_session=is_session,
        expires_at=token.expires_at,
    )


def open_session(service: Service, token: str, origin: Origin) -> str:
    """Exchange an access token, or the secret of a share link, for the secret of a browser session.

    The session inherits role, scope and end of the token, and ends with it.

    Args:
        service: Keeps the session.
        token: The secret of the token.
        origin: Where the request came from.
    Raises:
        Unauthorized: The token is not valid (401).
    """
    secret = new_secret()

    def operation(tx: Transaction) -> bool:
        row = _valid(tx, digest(token), is_session=False)
        if row is None:
            nobody = replace(_NOBODY, origin=origin)
            auditing.record_for(tx, nobody, "session.refuse", "session:new", reason="the token is not valid")
            return False
        tokens.remove_expired_sessions(tx)
        _add_session(tx, _principal_of(row).coming_from(origin), secret, token_id=row.id)
        return True

    if not service.write(operation):
        raise Unauthorized("this access token is not valid; `caviar token show` prints the current one")
    return secret


def open_guest_session(service: Service, guest: Guest, origin: Origin, *, lasts: timedelta) -> str:
    """Make a browser session for somebody whom an identity provider vouches for, and tell its secret.

    Nothing but a browser's cookie opens anything with it: it belongs to no token.

    Args:
        service: Keeps the session.
        guest: Who it is, and as what.
        origin: Where the request came from.
        lasts: How long the session lasts, unless sessions end earlier.
    """
    secret = new_secret()

    def operation(tx: Transaction) -> None:
        tokens.remove_expired_sessions(tx)
        ends_at = tx.now + lasts
        known = Principal(guest.name, guest.role, guest.scope, kind=Kind.SESSION, is_session=True, expires_at=ends_at)
        _add_session(tx, known.coming_from(origin), secret, token_id=None)

    service.write(operation)
    return secret


def sealing_key(service: Service) -> bytes:
    """What the service signs by that a browser keeps for a while: the same in all processes that share the database.

    Raises:
        Unavailable: The database does not answer, or has not been prepared (503).
    """
    with service.reading() as tx:
        known = tokens.of_settings(tx)
    if known is None:
        raise Unavailable("the service has no administrator's token yet; start it again")
    return hmac.new(known.secret_digest.encode(), b"caviar sealing", hashlib.sha256).digest()


def refuse(service: Service, origin: Origin, reason: str) -> None:
    """Write down that somebody was not let in who came with a link, or from an identity provider."""
    nobody = replace(_NOBODY, origin=origin)
    service.write(lambda tx: auditing.record_for(tx, nobody, "session.refuse", "session:new", reason=reason))


def _add_session(tx: Transaction, principal: Principal, secret: str, *, token_id: int | None) -> None:
    ends_at = tx.now + timedelta(days=SESSION_DAYS)
    tokens.add(
        tx,
        kind=Kind.SESSION,
        role=principal.role,
        name=principal.name,
        digest=digest(secret),
        scope=None if principal.scope is None else principal.scope.patterns,
        parent_id=token_id,
        created_by=principal.name,
        expires_at=ends_at if principal.expires_at is None else min(ends_at, principal.expires_at),
    )
    auditing.record_for(tx, principal, "session.open", f"session:{principal.name}")


def session_of(service: Service, secret: str) -> Principal | None:
    """Who has a browser's session; None if it is none."""
    if not secret:
        return None
    return recognise(service, digest(secret), is_session=True)


def shared_study(service: Service, secret: str) -> str | None:
    """The study that a share link shows; None if it shows none (any more)."""
    with service.reading() as tx:
        row = _valid(tx, digest(secret), is_session=False)
        return None if row is None or row.kind != Kind.SHARE else str(row.scope[0])


def drop_session(service: Service, secret: str) -> None:
    """End the session that a browser had before it signed in anew."""
    service.write(lambda tx: tokens.remove(tx, digest(secret)))
    service.recognition.forget()


def close_session(service: Service, secret: str) -> None:
    """End a browser session, for the one whose it is."""

    def operation(tx: Transaction) -> None:
        tokens.remove(tx, digest(secret))
        auditing.record(tx, "session.close", f"session:{_name(tx)}")

    service.write(operation)
    service.recognition.forget()


def close_all_sessions(service: Service) -> int:
    """End every browser session of the one who acts, and tell how many that were."""

    def operation(tx: Transaction) -> int:
        actor = tx.actor
        if actor is None:
            return 0
        num_closed = tokens.remove_sessions(tx, parent_id=actor.token_id, name=actor.name)
        auditing.record(tx, "session.close_all", f"session:{actor.name}", num_closed=num_closed)
        return num_closed

    num_closed = service.write(operation)
    service.recognition.forget()
    return num_closed


def _name(tx: Transaction) -> str:
    return "" if tx.actor is None else tx.actor.name
