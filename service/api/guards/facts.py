"""What the guards must know of a request, read from its headers in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.types import Scope

COOKIE = b"caviar_session="
KEY = "caviar.facts"
_NOTED = frozenset(
    {
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"authorization",
        b"cookie",
        b"accept",
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"access-control-request-method",
    }
)


@dataclass(slots=True)
class Facts:
    """One request, as it came.

    Attributes:
        headers: Those that matter here; of one that came twice, the last.
        num_hosts: How many headers Host there were.
        num_headers: How many headers there were of any kind.
        further: Headers of its answer beyond those of every answer.
    """

    headers: dict[bytes, bytes]
    num_hosts: int
    num_headers: int
    further: list[tuple[bytes, bytes]] = field(default_factory=list)

    def get(self, name: bytes) -> bytes | None:
        """A header's value."""
        return self.headers.get(name)

    def text(self, name: bytes) -> str | None:
        """A header's value as text."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def credentials(self) -> bytes | None:
        """What a request shows to prove who it is from: a token or a session; None if nothing."""
        token = self.headers.get(b"authorization")
        if token:
            return token
        cookie = self.headers.get(b"cookie")
        return cookie if cookie is not None and COOKIE in cookie else None


def read(headers: Sequence[tuple[bytes, bytes]]) -> Facts:
    """Go through the headers of a request once."""
    found = {}
    num_hosts = 0
    for name, value in headers:
        if name in _NOTED:
            found[name] = value
            if name == b"host":
                num_hosts += 1
    return Facts(found, num_hosts, len(headers))


def known(scope: Scope) -> Facts:
    """What the guard has read of a request before."""
    found: Facts | None = scope.get(KEY)
    return read(scope["headers"]) if found is None else found


def client_address(scope: Scope) -> str:
    """Address of the client; empty where the server does not tell."""
    client = scope.get("client")
    return client[0] if client else ""
