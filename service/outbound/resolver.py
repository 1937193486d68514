"""Finding the addresses of a host, and refusing it for those that nobody may send to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from service.domain.destinations import Destination
from service.domain.networks import Network
from service.domain.reachability import Address, is_allowed, is_public, may_reach

Lookup = Callable[[str, int], Sequence[str]]

_MAX_LOOKUPS = 16


class Unreachable(Exception):
    """A message cannot be sent to where it is to go; says why, for people."""


def system_lookup(host: str, port: int) -> list[str]:
    """The addresses of a host by the system's resolver, best first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """Turns hosts into addresses that may be sent to.

    Lookups run in threads of their own: a name server that does not answer holds up nothing else.
    """

    def __init__(self, allowed: Sequence[Network], *, lookup: Lookup = system_lookup) -> None:
        """Prepare it.

        Args:
            allowed: Networks that the operator allows beside the public internet.
            lookup: Finds the addresses of a name.
        """
        self._allowed = tuple(allowed)
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="caviar-lookup")

    def close(self) -> None:
        """Let go of the threads; a lookup that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def addresses(self, destination: Destination, *, timeout_s: float) -> list[Address]:
        """The addresses of a destination, all of which may be sent to.

        Raises:
            Unreachable: There are none within the time, or one of them may not be sent to.
        """
        found = [destination.literal] if destination.literal else await self._looked_up(destination, timeout_s)
        if not all(may_reach(one, self._allowed, is_encrypted=destination.is_encrypted) for one in found):
            raise Unreachable(self._refusal(destination, found))
        return found

    async def _looked_up(self, destination: Destination, timeout_s: float) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                texts = await loop.run_in_executor(self._threads, self._lookup, destination.host, destination.port)
            # A zone (fe80::1%eth0) makes it an address of this machine's own links, and is_public says no.
            found = [ip_address(text) for text in texts]
        except TimeoutError:
            raise Unreachable(f"the host {destination.host} was not found within {timeout_s:g} s") from None
        except (OSError, UnicodeError, ValueError):
            raise Unreachable(f"the host {destination.host} is not known") from None
        if not found:
            raise Unreachable(f"the host {destination.host} has no address")
        return found

    def _refusal(self, destination: Destination, found: Sequence[Address]) -> str:
        # The address itself is not told: who may create webhooks need not know the names of the networks around us.
        host = destination.host
        if all(is_public(one) or is_allowed(one, self._allowed) for one in found):
            return f"{host} may be reached by https only; the operator allows http for chosen networks"
        return f"{host} is in a private or reserved network, and the operator does not allow it"
