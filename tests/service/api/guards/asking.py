"""Sending an application exactly the headers that a test writes, and hearing its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.guards.guard import Guard
from service.api.guards.proxies import Proxies
from service.api.guards.sites import Sites
from service.domain.hosts import Hosts
from service.domain.networks import Networks, network

HOST = ("Host", "localhost:8700")


@dataclass
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP.
        headers: By name in lower case.
        body: All of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem body."""
        return dict(json.loads(self.body))


@dataclass
class Behind:
    """An application that only notes what reaches it.

    Attributes:
        scopes: Of the requests that came through.
        bodies: Their bodies.
    """

    scopes: list[Scope] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request with all of its body."""
        self.scopes.append(scope)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"through"})

    def header(self, name: str) -> str | None:
        """A header of the last request that came through."""
        return {key.decode(): value.decode() for key, value in self.scopes[-1]["headers"]}.get(name)


def guarded(
    behind: ASGIApp,
    *,
    listen: str = "127.0.0.1",
    allowed: Sequence[str] = (),
    origins: Sequence[str] = (),
    proxies: Sequence[str] = (),
) -> Guard:
    """A guard as settings make it."""
    return Guard(
        behind,
        hosts=Hosts.of(listen, "box", allowed),
        sites=Sites(origins),
        proxies=Proxies(Networks(map(network, proxies))),
    )


def ask(
    app: ASGIApp,
    path: str = "/api/v1/studies",
    *headers: tuple[str, str],
    method: str = "GET",
    scheme: str = "http",
    query: bytes = b"",
    raw: bytes | None = None,
    client: str = "127.0.0.1",
    body: Sequence[bytes] = (b"",),
) -> Answer:
    """Send a request and take the whole answer; without headers, it has a proper Host.

    Args:
        app: Who is asked.
        path: As the server decodes it.
        headers: As they are sent; names may come twice.
        method: Verb.
        scheme: Of the connection.
        query: Of the address.
        raw: The path as it was sent, if that differs.
        client: Address of the client.
        body: In the portions in which it arrives.
    """
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": raw if raw is not None else path.encode(),
        "query_string": query,
        "scheme": scheme,
        "client": (client, 1234),
        "server": ("127.0.0.1", 8700),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers or (HOST,)],
    }
    portions = list(body)
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": portions.pop(0), "more_body": bool(portions)}

    async def send(message: Message) -> None:
        told.append(message)

    asyncio.run(_called(app, scope, receive, send))
    start = told[0]
    return Answer(
        start["status"],
        {key.decode(): value.decode() for key, value in start["headers"]},
        b"".join(message.get("body", b"") for message in told[1:]),
    )


async def _called(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)
