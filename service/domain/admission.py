"""Whom the service lets in of those whom an identity provider vouches for, and as what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from caviar.contract.errors import Forbidden
from caviar.contract.identity import StudyPattern
from service.domain.principal import Role, Scope

EVERYONE = "everyone"
"""In place of a group: whoever the provider vouches for."""

MAX_NAME_CHARACTERS = 200
_ROLES = (Role.VIEWER, Role.SUBMITTER, Role.ADMIN)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_ISSUER = re.compile(
    r"https://[^\s/?#@]+(?:/[^\s?#]*)?|http://(?:127\.0\.0\.1|\[::1\]|localhost)(?::\d+)?(?:/[^\s?#]*)?"
)
_patterns: TypeAdapter[str] = TypeAdapter(StudyPattern)


def issuer(text: str) -> str:
    """The address by which a provider calls itself, as an operator writes it.

    Raises:
        ValueError: It is none, or what it says could be changed on its way.
    """
    if _ISSUER.fullmatch(text) is None:
        raise ValueError(f"received {text!r}, expected https://… without a query, or http:// on this machine alone")
    return text


def domain(text: str) -> str:
    """A domain of addresses of e-mail, as an operator writes it.

    Raises:
        ValueError: It is none.
    """
    written = text.strip().lower().removeprefix("@")
    if _DOMAIN.fullmatch(written) is None:
        raise ValueError(f"received {text!r}, expected a domain such as example.org")
    return written


@dataclass(frozen=True, slots=True)
class Rule:
    """What the members of a group get.

    Attributes:
        group: Its name as the provider has it, or `everyone`.
        role: What they are.
        scope: The studies that they are limited to; None for all.
    """

    group: str
    role: Role
    scope: Scope | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """A rule as an operator writes it: `GROUP=ROLE`, or `GROUP=ROLE:STUDY:STUDY…` with names or patterns.

        Raises:
            ValueError: It is none.
        """
        group, equals, granted = text.strip().rpartition("=")
        role, *patterns = granted.split(":")
        if not equals or not group.strip() or role not in _ROLES:
            roles = ", ".join(_ROLES)
            raise ValueError(f"received {text!r}, expected GROUP=ROLE or GROUP=ROLE:STUDY with a role of {roles}")
        try:
            scope = Scope.of([_patterns.validate_python(pattern) for pattern in patterns]) if patterns else None
        except ValidationError as error:
            raise ValueError(
                f"received {text!r}, expected after the role names of studies, or beginnings followed by *, each after "
                "a colon"
            ) from error
        return cls(group.strip(), Role(role), scope)

    def __str__(self) -> str:
        """As an operator writes it."""
        return ":".join([f"{self.group}={self.role}", *(() if self.scope is None else self.scope.patterns)])


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody whom a provider vouches for, and what the service makes of that.

    Attributes:
        name: A verified address of e-mail, else what the provider calls the person by.
        role: By the first rule that fits.
        scope: The studies that the person is limited to; None for all.
    """

    name: str
    role: Role
    scope: Scope | None


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides who is let in.

    Attributes:
        rules: Of which the first that fits counts.
        groups_claim: Name of the claim that tells somebody's groups.
        domains: Of verified addresses of e-mail, one of which a person must have; empty for no such condition.
    """

    rules: tuple[Rule, ...]
    groups_claim: str = "groups"
    domains: frozenset[str] = frozenset()

    def decide(self, claims: Mapping[str, Any]) -> Guest:
        """Let somebody in.

        Args:
            claims: What the provider says of the person, after its signature was checked.
        Raises:
            Forbidden: Nothing lets this person in (403).
        """
        email = claims.get("email")
        # Anybody can say that an address is theirs; only the provider knows whether it is.
        is_verified = isinstance(email, str) and "@" in email and claims.get("email_verified") is True
        name = str(email if is_verified else claims["sub"])
        if not name.isprintable() or not 0 < len(name) <= MAX_NAME_CHARACTERS:
            raise Forbidden(f"the identity provider tells no name of 1 to {MAX_NAME_CHARACTERS} printable characters")
        if self.domains and not is_verified:
            raise Forbidden(f"the identity provider does not say that {name} has a verified address of e-mail")
        if self.domains and name.rpartition("@")[2].lower() not in self.domains:
            raise Forbidden(f"{name} has no address of a domain that is let in here; ask an administrator")
        told = claims.get(self.groups_claim)
        groups = {told} if isinstance(told, str) else set(_texts(told))
        for rule in self.rules:
            if rule.group == EVERYONE or rule.group in groups:
                return Guest(name, rule.role, rule.scope)
        raise Forbidden(f"{name} is in no group that is let in here; ask an administrator of this service")


def _texts(told: object) -> list[str]:
    return [item for item in told if isinstance(item, str)] if isinstance(told, list) else []
