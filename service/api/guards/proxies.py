"""Believing what a proxy says about the client, if it is one that the operator trusts."""

from __future__ import annotations

from starlette.types import Scope

from service.api.guards.facts import Facts, client_address
from service.domain.networks import Networks

_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})


class Proxies:
    """The proxies in front of the service.

    From everybody else, headers that only proxies send are as good as none: a client may write what it likes in them.
    """

    def __init__(self, networks: Networks) -> None:
        """Trust those whose address is in one of the networks."""
        self._networks = networks

    def believe(self, scope: Scope, facts: Facts) -> bytes | None:
        """Put the client's address and scheme in place of the proxy's.

        Args:
            scope: Of the request; `client` and `scheme` are replaced.
            facts: Of the request.
        Returns:
            The host by which the client called the proxy, if it says so.
        """
        if not self._networks or client_address(scope) not in self._networks:
            return None
        said: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            if name in _FORWARDED:
                said.setdefault(name, []).extend(part.strip() for part in value.decode("latin-1").split(","))
        # Each proxy adds to the end what it has seen itself: what stands before the first that is not ours may be lies.
        chain = [_bare(address) for address in said.get(b"x-forwarded-for", ()) if address]
        beyond = [address for address in chain if address not in self._networks]
        if chain:
            scope["client"] = (beyond[-1] if beyond else chain[0], 0)
        scheme = said.get(b"x-forwarded-proto", [""])[-1].lower()
        if scheme in ("http", "https"):
            scope["scheme"] = scheme
        host = said.get(b"x-forwarded-host", [""])[-1]
        return host.encode("latin-1") if host else None


def _bare(address: str) -> str:
    """An address without its port."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
