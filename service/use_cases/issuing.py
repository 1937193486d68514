"""Making, listing, rotating and revoking tokens and share links."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from caviar.contract.errors import Forbidden, NotFound, StateConflict
from caviar.contract.identity import MadeShare, MadeToken, NewShare, NewToken, Rotation, Tokens, TokenView, WhoAmI
from service.domain.principal import Kind, Principal, Right, Role
from service.store import tokens
from service.store.transaction import Record, Transaction
from service.use_cases import access, auditing, identity
from service.use_cases.service import Service

_MOST_LISTED = 1000


def who_am_i(actor: Principal) -> WhoAmI:
    """The one who acts."""
    return WhoAmI(
        name=actor.name,
        role=actor.role,
        kind=Kind.SESSION if actor.is_session else actor.kind,
        scope=None if actor.scope is None else list(actor.scope.patterns),
        rights=sorted(actor.rights),
        expires_at=actor.expires_at,
    )


def create(tx: Transaction, body: NewToken) -> MadeToken:
    """Make a token; its secret is told here and never again.

    Raises:
        Forbidden: Who acts is no administrator, or acts for some studies only (403).
    """
    actor = require_admin(tx)
    secret = identity.new_secret()
    token_id = tokens.add(
        tx,
        kind=Kind.ACCESS,
        role=body.role,
        name=body.name,
        digest=identity.digest(secret),
        scope=body.scope,
        created_by=actor.name,
        expires_at=_end(tx, body.expires_in_s),
    )
    auditing.record(tx, "token.create", f"token:{token_id}", **body.model_dump(mode="json"))
    return MadeToken(**_facts(tx, tokens.get(tx, token_id)), secret=secret)


def share(tx: Transaction, name: str, body: NewShare) -> MadeShare:
    """Make a link that shows one study to whoever has it; it is told here and never again.

    Raises:
        NotFound: There is no such study (404).
        Forbidden: Who acts may not change it (403).
    """
    access.study(tx, name, Right.CONTROL)
    actor = access.check(tx, Right.CONTROL)
    secret = identity.new_secret()
    token_id = tokens.add(
        tx,
        kind=Kind.SHARE,
        role=Role.VIEWER,
        name=body.name or f"share of {name}",
        digest=identity.digest(secret),
        scope=[name],
        created_by=actor.name,
        expires_at=_end(tx, body.expires_in_s),
    )
    auditing.record(tx, "share.create", f"study:{name}", token_id=token_id, expires_in_s=body.expires_in_s)
    return MadeShare(**_facts(tx, tokens.get(tx, token_id)), secret=secret, path=f"/share/{secret}")


def listed(tx: Transaction) -> Tokens:
    """Tokens and share links, the newest first: for an administrator all, else the links of studies within the scope.

    Raises:
        Forbidden: Who acts may change no study (403).
    """
    access.check(tx, Right.CONTROL)
    amounts = tokens.num_sessions(tx)
    rows = [row for row in tokens.listed(tx, _MOST_LISTED) if _is_manageable(tx, row)]
    return Tokens(items=[TokenView(**_facts(tx, row, amounts)) for row in rows])


def shares_of(tx: Transaction, name: str) -> Tokens:
    """The share links of a study, the newest first.

    Raises:
        NotFound: There is no such study (404).
        Forbidden: Who acts may not change it (403).
    """
    access.study(tx, name, Right.CONTROL)
    items = [item for item in listed(tx).items if item.kind == Kind.SHARE and item.scope == [name]]
    return Tokens(items=items)


def read(tx: Transaction, token_id: int) -> TokenView:
    """A token or share link.

    Raises:
        NotFound: There is none, or not for the one who acts (404).
    """
    return TokenView(**_facts(tx, _manageable(tx, token_id)))


def revoke(service: Service, token_id: int) -> None:
    """Let a token in no more, nor the browsers that signed in with it. Revoking it again changes nothing.

    Raises:
        NotFound: There is none, or not for the one who acts (404).
        StateConflict: It is the one of the service's settings (409).
    """

    def operation(tx: Transaction) -> None:
        row = _manageable(tx, token_id)
        if _is_of_settings(row):
            raise StateConflict("this is the token of the service's settings; change CAVIAR_TOKEN, then start it again")
        if row.revoked_at is None:
            tokens.change(tx, token_id, revoked_at=tx.now)
            tokens.remove_sessions(tx, parent_id=token_id, name=row.name)
            auditing.record(tx, f"{_noun(row)}.revoke", f"token:{token_id}", name=row.name, scope=row.scope)

    service.write(operation)
    service.recognition.forget()


def rotate(service: Service, token_id: int, body: Rotation) -> MadeToken:
    """Give a token a new secret; the old one stays valid for a while, so that programs can be told the new one.

    Raises:
        NotFound: There is none, or not for the one who acts (404).
        StateConflict: It is not valid any more, or is the one of the service's settings (409).
    """
    secret = identity.new_secret()

    def operation(tx: Transaction) -> MadeToken:
        row = _manageable(tx, token_id)
        if _is_of_settings(row):
            raise StateConflict("this is the token of the service's settings; change CAVIAR_TOKEN, then start it again")
        if not _is_valid(tx, row):
            raise StateConflict(f"token {token_id} is not valid any more; make a new one")
        until = tx.now + timedelta(seconds=body.overlap_s)
        digests = {"secret_digest": identity.digest(secret), "old_digest": row.secret_digest, "old_expires_at": until}
        tokens.change(tx, token_id, **digests)
        auditing.record(tx, f"{_noun(row)}.rotate", f"token:{token_id}", name=row.name, overlap_s=body.overlap_s)
        return MadeToken(**_facts(tx, tokens.get(tx, token_id)), secret=secret)

    made = service.write(operation)
    service.recognition.forget()
    return made


def revoke_shares(tx: Transaction, name: str) -> None:
    """Let the share links of a study in no more: another one may get its name."""
    for row in tokens.valid_shares(tx):
        if row.scope == [name]:
            tokens.change(tx, row.id, revoked_at=tx.now)
            tokens.remove_sessions(tx, parent_id=row.id, name=row.name)


def require_admin(tx: Transaction) -> Principal:
    """See to it that the one who acts administers everything, and tell who that is.

    Raises:
        Forbidden: Who acts is no administrator, or acts for some studies only (403).
    """
    actor = access.check(tx, Right.ADMINISTER)
    if actor.scope is not None:
        raise Forbidden("the scope of this token is limited to some studies; only one without a scope makes tokens")
    return actor


def _manageable(tx: Transaction, token_id: int) -> Record:
    access.check(tx, Right.CONTROL)
    row = tokens.get(tx, token_id)
    if not _is_manageable(tx, row):
        raise NotFound(tokens.unknown(token_id))
    return row


def _is_manageable(tx: Transaction, row: Record) -> bool:
    actor = tx.actor
    if actor is None:
        return False
    is_over_all = actor.may(Right.ADMINISTER) and actor.scope is None
    return is_over_all or (row.kind == Kind.SHARE and all(actor.sees(name) for name in row.scope))


def _is_of_settings(row: Record) -> bool:
    return row.kind == Kind.ACCESS and row.created_by is None


def _is_valid(tx: Transaction, row: Record) -> bool:
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > tx.now)


def _noun(row: Record) -> str:
    return "share" if row.kind == Kind.SHARE else "token"


def _end(tx: Transaction, expires_in_s: float | None) -> Any:
    return None if expires_in_s is None else tx.now + timedelta(seconds=expires_in_s)


def _facts(tx: Transaction, row: Record, amounts: dict[int, int] | None = None) -> dict[str, Any]:
    same = ("kind", "name", "role", "scope", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at")
    has_old = row.old_expires_at is not None and row.old_expires_at > tx.now
    return {
        **{name: row._mapping[name] for name in same},
        "token_id": row.id,
        "old_secret_until": row.old_expires_at if has_old else None,
        "is_valid": _is_valid(tx, row),
        "num_sessions": (tokens.num_sessions(tx) if amounts is None else amounts).get(row.id, 0),
    }
