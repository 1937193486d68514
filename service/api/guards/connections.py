"""Connections that may not last for nothing: how long a client may take to send a request, and to take its answer."""

from __future__ import annotations

import asyncio
import json
import resource
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from caviar.contract.errors import CaviarError, RequestError, TooManyHeaders, TooSlow, Unavailable
from service.api.guards.headers import ALWAYS
from service.api.joining import Joining
from service.api.refusals import MEDIA_TYPE, RETRY_AFTER_S

SWEEP_S = 1.0
"""How often connections are looked at."""
MAX_HEAD_BYTES = 64 * 1024
# Files, the database and what else is open beside connections.
_OTHER_DESCRIPTORS = 512
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the service waits for clients.

    Attributes:
        head_s: Seconds for all headers of a request; also from a connection to its first request.
        body_s: Seconds for a body, beside what its length allows.
        body_bytes_per_s: How fast a body must come at least, on the average.
        answer_s: Seconds without a byte taken while an answer is being sent.
        linger_s: Seconds for the rest of a body whose request was answered before it was whole.
        max_connections: Connections at a time.
    """

    head_s: float = 20.0
    body_s: float = 20.0
    body_bytes_per_s: float = 1024.0
    answer_s: float = 60.0
    linger_s: float = 5.0
    max_connections: int = 10_000


class _Awaited(Enum):
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which is cut off when its client takes too long.

    The server itself only limits the pause between two requests: a client that sends a byte now and then could hold as
    many connections as it likes. Here a request notes no more than where it stands, and a sweep over all connections
    once a second finds those that stand too long.

    Source: Apache's mod_reqtimeout, whose rule for bodies this is: some seconds, and more for each byte that came.
    """

    patience: ClassVar[Patience] = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request, if there is room for one more."""
        super().connection_made(Joining(transport, self.loop))
        self._await(_Awaited.HEAD)
        self._num_head_bytes = 0
        self._num_unsent = 0
        self._unsent_since = self._since
        if len(self.connections) > self.patience.max_connections and not self._make_room():
            self.refuse(Unavailable(f"there are {self.patience.max_connections} connections, which is all that fit"))

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        if self._awaited is _Awaited.NOTHING and self.timeout_keep_alive_task is None and self._is_free:
            self._await(_Awaited.HEAD)  # Empty lines before a request are no request yet.
        if self._awaited is _Awaited.HEAD:
            self._num_head_bytes += len(data)
            if self._num_head_bytes > MAX_HEAD_BYTES:
                self.refuse(TooManyHeaders(f"received more than {MAX_HEAD_BYTES} bytes before the end of the headers"))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._await(_Awaited.HEAD)

    def on_headers_complete(self) -> None:
        """Its headers are whole."""
        self._num_head_bytes = 0
        self._num_body_bytes = 0
        self._await(_Awaited.BODY)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body came."""
        self._num_body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._awaited = _Awaited.NOTHING
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self.refuse(RequestError("received a request that is no valid HTTP/1.1"))

    def sweep(self, now: float) -> None:
        """Cut the connection off if its client has taken too long.

        Args:
            now: Time of the event loop.
        """
        waited_s = now - self._since
        if self._is_stuck(now):
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._awaited is _Awaited.HEAD and waited_s > self.patience.head_s:
            self.refuse(TooSlow(f"received no whole request within {self.patience.head_s:g} s"))
        elif self._awaited is _Awaited.BODY:
            self._sweep_body(waited_s)

    def refuse(self, error: CaviarError) -> None:
        """Answer outside of the application, and close; an answer that has begun is broken off instead."""
        if not self._is_free and self.cycle.response_started:
            self.transport.abort()
            return
        body = json.dumps(error.problem()).encode()
        status = HTTPStatus(error.status)
        told = [*ALWAYS, (b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        if error.status == Unavailable.status:
            told.append((b"retry-after", str(RETRY_AFTER_S).encode()))
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in [*told, (b"connection", b"close")])
        self.transport.write(f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() + lines + b"\r\n" + body)
        self.transport.close()

    def _await(self, awaited: _Awaited) -> None:
        self._awaited = awaited
        self._since = self.loop.time()

    @property
    def _is_free(self) -> bool:
        # There is none before the first request, whatever its type says.
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _sweep_body(self, waited_s: float) -> None:
        if self.cycle.response_complete:
            if waited_s > self.patience.linger_s:
                self.transport.close()
        elif self.flow.read_paused:
            # Not the client is slow, but whoever stores what it sends.
            self._since += SWEEP_S
        elif waited_s > self.patience.body_s + self._num_body_bytes / self.patience.body_bytes_per_s:
            self.refuse(
                TooSlow(f"received {self._num_body_bytes} bytes of the body in {waited_s:.0f} s, expected more")
            )

    def _is_stuck(self, now: float) -> bool:
        num_unsent = self.transport.get_write_buffer_size()
        if num_unsent == 0 or num_unsent != self._num_unsent:
            self._num_unsent, self._unsent_since = num_unsent, now
        return now - self._unsent_since > self.patience.answer_s

    def _make_room(self) -> bool:
        """Close a connection that only waits for its client's next request."""
        for other in self.connections:
            if isinstance(other, Connection) and other.timeout_keep_alive_task is not None:
                other.transport.close()
                return True
        return False


def connection_class(patience: Patience) -> type[Connection]:
    """Connections with a patience of their own."""
    return type("Connection", (Connection,), {"patience": patience})


def sweep(connections: set[Any], now: float) -> None:
    """Look at all connections of a server.

    Args:
        connections: Of the server.
        now: Time of the event loop.
    """
    for connection in list(connections):
        if isinstance(connection, Connection):
            connection.sweep(now)


def make_descriptors(max_connections: int) -> int:
    """Let this process have as many open connections as it is to have, as far as the system allows.

    Returns:
        How many it can have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + _OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        soft = max(soft, allowed)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max_connections
    fitting = max(soft - _OTHER_DESCRIPTORS, soft // 2)
    _log.warning("service.few_descriptors", num_descriptors=soft, max_connections=fitting, wanted=max_connections)
    return fitting
