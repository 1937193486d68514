"""Connections that go to the very address that was checked."""

from __future__ import annotations

import time
from collections.abc import Iterable

import httpcore2

from service.domain.destinations import Destination
from service.outbound.resolver import Resolver

_MAX_ADDRESSES = 4


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to one destination, by addresses that the resolver lets through.

    Nobody looks the name up again between the check and the connection; TLS still verifies the certificate by the name.
    """

    def __init__(self, destination: Destination, resolver: Resolver) -> None:
        """Connect to this destination only."""
        self._destination = destination
        self._resolver = resolver
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # The signature is the library's.
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            Unreachable: The host has no address, or one that may not be sent to.
        """
        left_s = 5.0 if timeout is None else timeout
        began = time.monotonic()
        found = await self._resolver.addresses(self._destination, timeout_s=left_s)
        tried = found[:_MAX_ADDRESSES]
        for num_left in range(len(tried), 0, -1):
            address = tried[len(tried) - num_left]
            # Each gets its share of what is left, so that one that swallows packets leaves time for the others.
            share_s = max((left_s - (time.monotonic() - began)) / num_left, 0.1)
            try:
                return await self._inner.connect_tcp(
                    str(address), self._destination.port, share_s, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if num_left == 1:
                    raise
        raise AssertionError(tried)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # The signature is the library's.
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: nothing is sent there."""
        raise httpcore2.ConnectError(f"received the socket {path}, expected a destination on the network")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)
