"""Sending one message: a POST with our headers alone, to a checked address, answered within seconds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import httpcore2
import httpx2

from caviar import __version__
from caviar.contract.errors import CaviarError
from service.domain import destinations
from service.outbound.network import CheckedNetwork
from service.outbound.resolver import Resolver, Unreachable

_MAX_ANSWER_BYTES = 4096
_CONNECT_S = 5.0


class Refused(Exception):
    """A message was not taken.

    Attributes:
        reason: Why, for people.
        status: HTTP status of the answer; None if there was none.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        """Keep the reason and the status."""
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Sender:
    """Sends messages. Neither proxies nor certificates of the environment count, and no redirect is followed."""

    def __init__(self, resolver: Resolver, *, timeout_s: float, context: ssl.SSLContext | None = None) -> None:
        """Prepare it.

        Args:
            resolver: Finds and checks addresses.
            timeout_s: Seconds that a message may take from the lookup to the end of its answer.
            context: Whom to believe by TLS; None for the usual authorities.
        """
        self.timeout_s = timeout_s
        self._resolver = resolver
        self._context = context or httpx2.create_ssl_context(trust_env=False)

    def close(self) -> None:
        """Let go of the resolver."""
        self._resolver.close()

    async def check(self, url: str) -> None:
        """Make sure that an address may be sent to now.

        Raises:
            InvalidRequest: It may not (422).
        """
        destination = destinations.parse(url)
        try:
            await self._resolver.addresses(destination, timeout_s=_CONNECT_S)
        except Unreachable as error:
            raise destinations.refused(url, f"a host that can be reached: {error}") from None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send a message.

        Args:
            url: Where to.
            headers: Beside those that every message has.
            body: JSON.
        Returns:
            The status, 200-299.
        Raises:
            Refused: It was not taken, whatever the reason.
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                status = await self._exchange(destinations.parse(url), headers, body)
        except TimeoutError:
            raise Refused(f"no complete answer within {self.timeout_s:g} s") from None
        except Unreachable as error:
            raise Refused(str(error)) from None
        except CaviarError as error:
            raise Refused(error.detail) from None
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise Refused(_told(error)) from None
        if 200 <= status < 300:
            return status
        if 300 <= status < 400:
            raise Refused(
                f"answered {status}, a redirect, which is not followed; give the webhook its new address", status
            )
        raise Refused(f"answered {status}, expected a status from 200 to 299", status)

    async def _exchange(self, destination: destinations.Destination, headers: Mapping[str, str], body: bytes) -> int:
        url = httpcore2.URL(
            scheme=destination.scheme, host=destination.host, port=destination.port, target=destination.target
        )
        sent: list[tuple[bytes | str, bytes | str]] = [
            ("Host", destination.authority),
            ("User-Agent", f"Caviar/{__version__}"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *headers.items(),
        ]
        limits = {"connect": min(_CONNECT_S, self.timeout_s)}
        network = CheckedNetwork(destination, self._resolver)
        async with (
            httpcore2.AsyncConnectionPool(ssl_context=self._context, network_backend=network, retries=0) as pool,
            pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": limits}) as answer,
        ):
            num_read = 0
            async for part in answer.aiter_stream():
                num_read += len(part)
                if num_read > _MAX_ANSWER_BYTES:
                    break
            return int(answer.status)


def _told(error: Exception) -> str:
    said = "the connection broke"
    if isinstance(error, httpcore2.ConnectTimeout | httpcore2.ConnectError):
        said = "no connection"
    elif isinstance(error, httpcore2.ProtocolError):
        said = "an answer that is no HTTP"
    detail = str(error)[:200]
    return f"{said} ({detail})" if detail else said
