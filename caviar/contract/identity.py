"""Tokens, who one is, and the audit log."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from caviar.contract.model import Label, Model, View
from caviar.contract.wording import patterned

DAY_S = 86_400
_MAX_DAYS = 3650

StudyPattern = Annotated[
    str,
    patterned(
        r"^([a-z0-9][a-z0-9._-]{0,63}|[a-z0-9][a-z0-9._-]{0,62}\*|\*)$",
        "the name of a study, or the beginning of names followed by '*'",
    ),
]
Lifetime = Annotated[float, Field(gt=0, le=_MAX_DAYS * DAY_S)]
Overlap = Annotated[float, Field(ge=0, le=30 * DAY_S)]


class Role(StrEnum):
    """What a token is for.

    Attributes:
        VIEWER: To read.
        SUBMITTER: To read, and to create and steer studies.
        WORKER: To train, and nothing else.
        ADMIN: Everything.
    """

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    WORKER = "worker"
    ADMIN = "admin"


class NewToken(Model):
    """A token that is to be made.

    Attributes:
        name: For people.
        role: What it is for.
        scope: Names of the studies that it is limited to, and beginnings of names followed by `*`; null for all.
        expires_in_s: Seconds after which it ends; null for never.
    """

    name: Label
    role: Annotated[Role, Field(strict=False)]
    scope: Annotated[list[StudyPattern], Field(min_length=1, max_length=100)] | None = None
    expires_in_s: Lifetime | None = None


class NewShare(Model):
    """A link that is to be made, which shows one study to whoever has it.

    Attributes:
        name: For people; null for one made of the study's name.
        expires_in_s: Seconds after which it ends.
    """

    name: Label | None = None
    expires_in_s: Lifetime = 7 * DAY_S


class Rotation(Model):
    """How a token gets another secret.

    Attributes:
        overlap_s: Seconds for which the old secret is valid as well.
    """

    overlap_s: Overlap = 3600


class TokenView(View):
    """A token, without its secret.

    Attributes:
        token_id: Its number.
        kind: `access` or `share`.
        scope: Names and patterns of the studies that it is limited to; null for all.
        created_by: Name of the token that made it; null for the one of the service's settings.
        expires_at: When it ends; null for never.
        last_used_at: To the minute; null if it was not used yet.
        old_secret_until: Until when the secret before the last rotation is valid; null without one.
        revoked_at: Since when it is not valid any more.
        is_valid: Whether it lets anybody in now.
        num_sessions: Browsers that are signed in with it.
    """

    token_id: int
    kind: str
    name: str
    role: Role
    scope: list[str] | None = None
    created_by: str | None = None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    old_secret_until: datetime | None = None
    revoked_at: datetime | None = None
    is_valid: bool = True
    num_sessions: int = 0


class MadeToken(TokenView):
    """A token with its secret, which is told once and never again.

    Attributes:
        secret: What programs send as `Authorization: Bearer …`.
    """

    secret: str


class MadeShare(MadeToken):
    """A share link, which is told once and never again.

    Attributes:
        path: Path of the link below the address of the service.
    """

    path: str


class Tokens(View):
    """Tokens, the newest first."""

    items: list[TokenView]


class WhoAmI(View):
    """Who makes a request.

    Attributes:
        name: Of the token.
        kind: `access`, `share` or `session`.
        scope: Names and patterns of the studies that it is limited to; null for all.
        rights: What it may do: `read`, `oversee`, `control`, `work`, `administer`.
    """

    name: str
    role: Role
    kind: str
    scope: list[str] | None = None
    rights: list[str]
    expires_at: datetime | None = None


class AuditEntry(View):
    """Something that somebody did.

    Attributes:
        entry_id: Its number; rises with time.
        actor: Name of the token, or of the person who signed in.
        role: Of the token; empty for somebody who was refused.
        token_id: Of the token; null for a person who signed in elsewhere.
        address: Of the client.
        request_id: Of the request, if it had one.
        action: What was done, such as `study.create`.
        object: What it was done to, such as `study:digits-mlp`.
        details: What else is known.
    """

    entry_id: int
    at: datetime
    actor: str
    role: str
    token_id: int | None = None
    address: str | None = None
    request_id: str | None = None
    action: str
    object: str
    details: dict[str, Any] = Field(default_factory=dict)


class AuditPage(View):
    """A page of the audit log, the newest entry first.

    Attributes:
        next_after: Pass it as `after` for the next page; null on the last one.
    """

    items: list[AuditEntry]
    next_after: int | None = None
