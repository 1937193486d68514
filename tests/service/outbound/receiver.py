"""A real HTTP server on this machine that answers as it is told and remembers what came."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket, "Receiver"], None]
_MAX_REQUEST_BYTES = 1_000_000


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    names: list[str]
    body: bytes


def answering(status: int, *headers: str, body: bytes = b"") -> Behaviour:
    """Answer with a status."""

    def answer(connection: socket.socket, _receiver: Receiver) -> None:
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)

    return answer


def hanging(connection: socket.socket, receiver: Receiver) -> None:
    """Say nothing until the receiver closes."""
    receiver.is_closing.wait(30)


def dripping(connection: socket.socket, receiver: Receiver) -> None:
    """Begin an answer and send a byte of it now and then, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not receiver.is_closing.wait(0.05):
        connection.sendall(b"a")


def flooding(connection: socket.socket, receiver: Receiver) -> None:
    """Send a body without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not receiver.is_closing.is_set():
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        receiver.num_flooded += 65536


def babbling(connection: socket.socket, _receiver: Receiver) -> None:
    """Answer with something that is no HTTP."""
    connection.sendall(b"220 mail.example ESMTP\r\n")


def hanging_up(_connection: socket.socket, _receiver: Receiver) -> None:
    """Close the connection without an answer."""


@dataclass
class Receiver:
    """Where messages go to.

    Attributes:
        behaviours: How the next requests are answered; after the last one, with 204.
        received: What came, in order.
    """

    port: int = 0
    behaviours: deque[Behaviour] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    is_closing: threading.Event = field(default_factory=threading.Event)
    num_flooded: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/hook?of=tests"

    def serve(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        """Answer one connection."""
        try:
            with context.wrap_socket(connection, server_side=True) if context else connection as wrapped:
                self.received.append(_read(wrapped))
                behaviour = self.behaviours.popleft() if self.behaviours else answering(204)
                behaviour(wrapped, self)
        except OSError:  # The other side has hung up, which is what some tests are about.
            return


def _read(connection: socket.socket) -> Received:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("closed before the end of the head")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    pairs = [tuple(one.split(": ", 1)) for one in rest]
    headers = {name.lower(): value for name, value in pairs}
    while len(body) < int(headers.get("content-length", "0")) < _MAX_REQUEST_BYTES:
        body += connection.recv(65536)
    return Received(line, headers, [name for name, _ in pairs], body)


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver in threads of its own."""
    receiver = Receiver()
    listener = socket.create_server(("127.0.0.1", 0))
    receiver.port = listener.getsockname()[1]
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=receiver.serve, args=(connection, context), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield receiver
    finally:
        receiver.is_closing.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (acceptor, *threads):
            thread.join(10)
