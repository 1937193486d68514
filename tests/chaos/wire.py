"""HTTP of the chaos's own, on streams: light enough for a process per worker, and it hides no failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "/api/v1"
_MAX_HEAD_BYTES = 64 * 1024


class Broken(Exception):
    """The connection failed, or ended in the middle of a message."""


@dataclass(frozen=True)
class Message:
    """A request or an answer as it travels.

    Attributes:
        first: The request line or the status line, without its line end.
        headers: Names in lower case.
        raw: All its bytes, head and body.
        body: The body.
    """

    first: str
    headers: Mapping[str, str]
    raw: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.first.split()[1])

    @property
    def path(self) -> str:
        """The path of a request."""
        return self.first.split()[1]

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message with a length or in chunks; None if the peer has ended the connection before one.

    Raises:
        Broken: The connection ended within it.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise Broken("the connection ended within a head") from error
    except (OSError, asyncio.LimitOverrunError) as error:
        raise Broken(f"no head came: {error!r}") from error
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            wire, body = await _chunks(reader)
        else:
            wire = body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Broken("the connection ended within a body") from error
    return Message(first, headers, head + wire, body)


async def _chunks(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    wire, body = bytearray(), bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        chunk = await reader.readexactly(size + 2)
        wire += line + chunk
        body += chunk[:size]
        if size == 0:
            return bytes(wire), bytes(body)


@dataclass
class Wire:
    """A client of one service, with connections that are kept alive.

    Attributes:
        host: Of the service, or of the proxy before it.
        port: Likewise.
        token: Access token.
    """

    host: str
    port: int
    token: str
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def send(
        self,
        verb: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> Message:
        """Send one request and read its answer.

        Args:
            verb: Of HTTP.
            path: Below the prefix of the API.
            body: JSON, unless the headers say otherwise.
            headers: Further ones.
            timeout_s: Seconds for the whole exchange.
        Raises:
            Broken: There was no whole answer within the time.
        """
        told = {
            "Host": f"{self.host}:{self.port}",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        raw = f"{verb} {PREFIX}{path} HTTP/1.1\r\n{lines}\r\n".encode() + body
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(raw)
        except (OSError, TimeoutError) as error:
            raise Broken(f"{verb} {path}: {error!r}") from error

    async def _exchange(self, raw: bytes) -> Message:
        reader, writer = self._idle.pop() if self._idle else await self._connect()
        try:
            writer.write(raw)
            await writer.drain()
            answer = await read_message(reader)
            if answer is None:
                raise Broken("the connection ended before an answer")
        except BaseException:
            writer.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return answer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port, limit=_MAX_HEAD_BYTES)

    async def call(self, verb: str, path: str, body: object = None, *, timeout_s: float = 5.0) -> tuple[int, Any]:
        """Send JSON; the status and the JSON of the answer.

        Raises:
            Broken: As `send`.
        """
        raw = b"" if body is None else json.dumps(body).encode()
        answer = await self.send(verb, path, raw, timeout_s=timeout_s)
        return answer.status, answer.json()

    def close(self) -> None:
        """Hang up."""
        for _reader, writer in self._idle:
            writer.close()
        self._idle.clear()
