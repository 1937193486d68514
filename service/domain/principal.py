"""Who acts: a person, a script or a worker with a token, or the service itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from caviar.contract.identity import Role

__all__ = ["RIGHTS", "SYSTEM", "WILDCARD", "Kind", "Origin", "Principal", "Right", "Role", "Scope"]

WILDCARD = "*"
"""At the end of a pattern it stands for any characters."""


class Right(StrEnum):
    """What can be allowed.

    Attributes:
        READ: To see studies, within the scope.
        OVERSEE: To see what belongs to no study: workers, what is in demand, objectives.
        CONTROL: To create, change and delete studies, within the scope.
        WORK: To register as a worker and to train, within the scope.
        ADMINISTER: Everything else: tokens, the modes of workers, the audit log.
    """

    READ = "read"
    OVERSEE = "oversee"
    CONTROL = "control"
    WORK = "work"
    ADMINISTER = "administer"


class Kind(StrEnum):
    """What a token is.

    Attributes:
        ACCESS: For scripts, workers, and people who sign in with it.
        SHARE: Shows one study to whoever has its link.
        SESSION: Of a browser that has signed in.
    """

    ACCESS = "access"
    SHARE = "share"
    SESSION = "session"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ, Right.OVERSEE}),
    Role.SUBMITTER: frozenset({Right.READ, Right.OVERSEE, Right.CONTROL}),
    Role.WORKER: frozenset({Right.WORK}),
    Role.ADMIN: frozenset(Right),
}
"""What each role may do."""

_SHARED = frozenset({Right.READ})


@dataclass(frozen=True, slots=True)
class Scope:
    """The studies that a token is limited to.

    Attributes:
        patterns: As it was given: names of studies, and beginnings of names followed by `*`.
        names: The names among them.
        beginnings: The beginnings among them.
    """

    patterns: tuple[str, ...]
    names: frozenset[str]
    beginnings: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Sequence[str]) -> Self:
        """The scope that these names, and patterns that end in `*`, describe."""
        ending = [pattern.removesuffix(WILDCARD) for pattern in patterns if pattern.endswith(WILDCARD)]
        names = frozenset(name for name in patterns if not name.endswith(WILDCARD))
        return cls(tuple(patterns), names, tuple(ending))

    def holds(self, study: str) -> bool:
        """Whether a study of this name belongs to it."""
        return study in self.names or study.startswith(self.beginnings)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from.

    Attributes:
        address: Of the client.
        request_id: Of the request, if it has one.
    """

    address: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Self:
        """The origin of a request, from its ASGI scope."""
        client, occasion = scope.get("client"), scope.get("caviar.occasion")
        return cls(client[0] if client else None, None if occasion is None else occasion.request_id)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts.

    Attributes:
        name: Of the token.
        role: What it is for.
        scope: The studies that it is limited to; None for all.
        token_id: Id of the token, for a session of the one that it was opened with; None for the service itself.
        kind: What the token is.
        is_session: It came by a browser's cookie.
        expires_at: When it ends; None if it does not by itself.
        origin: Where its request came from.
        rights: What it may do.
    """

    name: str
    role: Role
    scope: Scope | None = None
    token_id: int | None = None
    kind: Kind = Kind.ACCESS
    is_session: bool = False
    expires_at: datetime | None = None
    origin: Origin = Origin()
    rights: frozenset[Right] = field(init=False)

    def __post_init__(self) -> None:
        """Look its rights up once."""
        object.__setattr__(self, "rights", _SHARED if self.kind is Kind.SHARE else RIGHTS[self.role])

    def may(self, right: Right) -> bool:
        """Whether it has a right at all, in some study or outside of them."""
        return right in self.rights

    def sees(self, study: str) -> bool:
        """Whether a study of this name exists for it."""
        return self.scope is None or self.scope.holds(study)

    def coming_from(self, origin: Origin) -> Principal:
        """The same one in a request from elsewhere."""
        # Written out, because `replace` takes twice the time, and every request that writes asks for it.
        return Principal(
            self.name, self.role, self.scope, self.token_id, self.kind, self.is_session, self.expires_at, origin
        )


SYSTEM = Principal("the service", Role.ADMIN)
"""The service itself, in its background loops."""
