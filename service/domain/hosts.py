"""Names by which a service may be called, so that no page elsewhere can make a browser call it by another.

In DNS rebinding, a page of evil.example lets its own name point to an address of ours; the browser then sends our
service requests that it takes for the page's own. All that tells them apart is the name in the header Host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_HOST_CHARACTERS = 255
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# No one can register a name below these for a machine elsewhere (RFC 6761, 6762, 8375, and ICANN's `internal`).
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".svc")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::\d{1,5})?")


def host_name(text: str) -> str | None:
    """The name in a header Host: in lower case, without port, brackets and a dot at its end.

    Args:
        text: The header's value.
    Returns:
        None if it is none: empty, too long, with a user's name, a space, a path, or characters that need IDNA.
    """
    found = _HOST.fullmatch(text.lower()) if text.isascii() and len(text) <= MAX_HOST_CHARACTERS else None
    if found is None:
        return None
    name = found["name"]
    if not name.startswith("["):
        return name if ".." not in name and not name.startswith(".") else None
    try:
        return ipaddress.IPv6Address(name[1:-1]).compressed
    except ValueError:
        return None


def pattern(text: str) -> str:
    """A name, an address or a pattern `*.example.org` as an operator writes it; `*` stands for every name.

    Raises:
        ValueError: It is none of these.
    """
    written = text.strip().lower()
    wildcard, rest = ("*.", written[2:]) if written.startswith("*.") else ("", written)
    if written == "*":
        return written
    try:
        ascii_name = rest if rest.isascii() else rest.encode("idna").decode()
        bare = f"[{ascii_name}]" if ascii_name.count(":") > 1 and not ascii_name.startswith("[") else ascii_name
        name = host_name(bare)
    except UnicodeError:
        name = None
    if name is None:
        raise ValueError(f"received {text!r}, expected a name such as caviar.example.org, *.example.org, or an address")
    return wildcard + name


def is_address(name: str) -> bool:
    """Whether a name is an address of IPv4 or IPv6, which nobody can let point to anything else."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(name: str) -> bool:
    """Whether a name, by itself, means the machine on which it is used."""
    if is_address(name):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost" or name.endswith(".localhost")


@dataclass(frozen=True)
class Hosts:
    """Which names are allowed.

    Attributes:
        listen: Address or name at which the service listens.
        machine: Name of this machine.
        patterns: What the operator allows, as `pattern` returns it; nothing for the default.
    """

    listen: str
    machine: str = ""
    patterns: tuple[str, ...] = ()

    @classmethod
    def of(cls, listen: str, machine: str, patterns: Iterable[str]) -> Hosts:
        """Put together what is allowed."""
        return cls(listen.lower(), machine.lower(), tuple(patterns))

    def allow(self, name: str) -> bool:
        """Whether the service may be called by a name, as `host_name` returns it."""
        if name in _LOOPBACK_NAMES or name == self.listen or is_loopback(name):
            return True
        if any(_fits(name, one) for one in self.patterns):
            return True
        # A service for this machine alone has no other names.
        if is_loopback(self.listen):
            return False
        # Probes and load balancers call a service by its address, and no page has an address as its name but ours.
        return is_address(name) or (not self.patterns and self._is_ours(name))

    def _is_ours(self, name: str) -> bool:
        return "." not in name or name == self.machine or name.endswith(_PRIVATE_SUFFIXES)

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        if self.patterns:
            return ", ".join(self.patterns)
        if is_loopback(self.listen):
            return "localhost or an address of this machine only, such as 127.0.0.1"
        return "an address, a name without a dot, or one that cannot be registered, such as gpu-box.local"


def _fits(name: str, one: str) -> bool:
    return one in ("*", name) or (one.startswith("*.") and name.endswith(one[1:]))
