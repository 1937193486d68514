"""Connections are cut off when their clients take too long: a real server, real sockets, short patience."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from service.api.guards.connections import MAX_HEAD_BYTES, Patience, connection_class, make_descriptors, sweep

PATIENCE = Patience(head_s=0.4, body_s=0.4, body_bytes_per_s=1e6, answer_s=0.4, linger_s=0.2, max_connections=3)
HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"
_LONG = bytes(2**20)


class _Server(uvicorn.Server):
    async def on_tick(self, counter: int) -> bool:
        sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)


@dataclass
class Running:
    """A server of the test's own.

    Attributes:
        address: Where it listens.
        ended: What the application has seen at the end of a request.
    """

    address: tuple[str, int]
    ended: list[str] = field(default_factory=list)

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body; answer much to /long, and at once to /early."""
        kind = "http.request"
        while scope["path"] != "/early":
            message = await receive()
            kind = message["type"]
            if not message.get("more_body"):
                break
        headers = [(b"content-length", str(len(_LONG) * 64).encode())] if scope["path"] == "/long" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(64 if headers else 0):
            await send({"type": "http.response.body", "body": _LONG, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self.ended.append(kind)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server whose patience is short."""
    listening = socket.create_server(("127.0.0.1", 0))
    made = Running(listening.getsockname())
    config = uvicorn.Config(
        made.application,
        http=connection_class(PATIENCE),
        interface="asgi3",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=30,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@contextlib.contextmanager
def _connected(running: Running) -> Iterator[socket.socket]:
    with socket.create_connection(running.address, timeout=20) as client:
        yield client


def _rest(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(2**16):
            found += part
    return found


def _problem(answer: bytes) -> tuple[bytes, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-content-type-options: nosniff" in head
    return head.split(b" ")[1], json.loads(body)["code"]


def _trickle(client: socket.socket, pieces: bytes) -> None:
    """Send a byte at a time, as fast as the server answers with nothing, until it closes."""
    client.settimeout(0.02)
    for number in range(2000):
        try:
            client.sendall(pieces[number % len(pieces) :][:1])
            if client.recv(1, socket.MSG_PEEK) is not None:
                break
        except TimeoutError:
            continue
        except OSError:
            break
    client.settimeout(20)


@pytest.mark.parametrize("begin", [b"", b"POST /x", HEAD, b"\r\n\r\n"], ids=["nothing", "a word", "headers", "lines"])
def test_a_request_that_never_begins_is_cut_off(running: Running, begin: bytes) -> None:
    with _connected(running) as client:
        client.sendall(begin)
        assert _problem(_rest(client)) == (b"408", "too_slow")


def test_headers_a_byte_at_a_time_are_cut_off(running: Running) -> None:
    with _connected(running) as client:
        client.sendall(HEAD)
        _trickle(client, b"X-A: b\r\n")
        assert _problem(_rest(client)) == (b"408", "too_slow")


@pytest.mark.parametrize("length", [b"Content-Length: 1000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_body_a_byte_at_a_time_is_cut_off(running: Running, length: bytes) -> None:
    running.ended.clear()
    with _connected(running) as client:
        client.sendall(HEAD + length)
        _trickle(client, b"1\r\nx\r\n" if b"chunked" in length else b"x")
        assert _problem(_rest(client)) == (b"408", "too_slow")


def test_a_client_that_does_not_take_its_answer_is_cut_off(running: Running) -> None:
    running.ended.clear()
    with _connected(running) as client:
        client.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # The socket is closed from the other side while much of the answer is still to come.
        client.recv(1)
        stop = threading.Event()
        while not running.ended and not stop.wait(0.05):
            pass
        assert len(_rest(client)) < 64 * len(_LONG)


def test_the_rest_of_a_body_that_was_answered_early_has_little_time(running: Running) -> None:
    with _connected(running) as client:
        client.sendall(b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx")
        assert _rest(client).startswith(b"HTTP/1.1 200")


def test_more_headers_than_anybody_needs_are_refused(running: Running) -> None:
    with _connected(running) as client, contextlib.suppress(ConnectionError):
        client.sendall(HEAD + b"X-Long: " + b"a" * (MAX_HEAD_BYTES + 1))
        assert _problem(_rest(client)) == (b"431", "too_many_headers")


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nA B: c\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
                 b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_said_to_be_none(running: Running, nonsense: bytes) -> None:
    with _connected(running) as client:
        client.sendall(nonsense)
        assert _problem(_rest(client)) == (b"400", "bad_request")


def test_a_connection_is_kept_for_the_next_request_and_gives_way_when_there_are_many(running: Running) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(_connected(running)) for _ in range(3)]
        for client in clients:
            for _ in range(2):
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(2**16).startswith(b"HTTP/1.1 200")
        with _connected(running) as late:
            late.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert _rest(late).startswith(b"HTTP/1.1 200"), "an idle one made room"


def test_one_too_many_is_told_so(running: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(_connected(running)).sendall(HEAD)
        late = stack.enter_context(_connected(running))
        assert _problem(_rest(late)) == (b"503", "unavailable")


def test_descriptors_are_made_as_far_as_the_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, limits: made.append(limits))
    for limits, connections, expected in (
        ((1024, 100_000), 10_000, [(10_512, 100_000)]),
        ((20_000, 100_000), 10_000, []),
        ((1024, resource.RLIM_INFINITY), 10_000, [(10_512, resource.RLIM_INFINITY)]),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _kind, limits=limits: limits)
        assert make_descriptors(connections) == 10_000
        assert made == expected
        made.clear()
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1024, 4096))
    assert make_descriptors(10_000) == 4096 - 512
