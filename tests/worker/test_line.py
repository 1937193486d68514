"""The worker's plain connections: kept where they can be, and an error in words for everything that is no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.service.outbound.receiver import (
    Behaviour,
    Receiver,
    answering,
    babbling,
    dripping,
    hanging,
    hanging_up,
    receiving,
)
from worker.line import Line, LineError, is_direct

BODY = b'{"items":[]}'
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def sending(*pieces: bytes) -> Behaviour:
    """Send pieces, each on its own, then close."""

    def send(connection: socket.socket, receiver: Receiver) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            receiver.is_closing.wait(0.01)

    return send


def origin(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.port}"


def test_a_request_is_what_the_service_expects(receiver: Receiver) -> None:
    receiver.behaviours.append(answering(200, "Retry-After: 7", body=b'{"a":1}'))
    with closing(Line(f"{origin(receiver)}/below/", "a-token")) as line:
        reply = line.post("/api/v1/measurements", BODY, patience_s=10)
    assert (reply.status, reply.content, reply.retry_after) == (200, b'{"a":1}', "7")
    [came] = receiver.received
    assert (came.line, came.body) == ("POST /below/api/v1/measurements HTTP/1.1", BODY)
    assert came.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert came.headers["authorization"] == "Bearer a-token"
    assert came.headers["content-type"] == came.headers["accept"] == "application/json"
    assert len(came.names) == len(set(came.names))


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", b"lo\r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 5\r\n\r\nhe", b"llo"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n",
         b"Content-Length: 5\r\n\r\nhello"),
        (b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhel", b"lo"),
    ],
    ids=["chunked", "in-pieces", "announced", "until-closed"],
)  # fmt: skip
def test_answers_of_every_form_are_understood(receiver: Receiver, pieces: tuple[bytes, ...]) -> None:
    receiver.behaviours.append(sending(*pieces))
    with closing(Line(origin(receiver), "t")) as line:
        assert line.post("/", BODY, patience_s=10) == (200, b"hello", None)


def test_a_body_without_content_is_empty(receiver: Receiver) -> None:
    with closing(Line(origin(receiver), "t")) as line:
        assert line.post("/", BODY, patience_s=10) == (204, b"", None)


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.behaviours.append(answering(307, f"Location: {origin(receiver)}/elsewhere"))
    with closing(Line(origin(receiver), "t")) as line:
        assert line.post("/", BODY, patience_s=10).status == 307
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (hanging, "timed out"),
        (dripping, "timed out"),
        (hanging_up, "closed before the end|reset"),
        (sending(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "closed before the end"),
        (sending(b"HTTP/1.1 200 OK\r\n"), "closed before the end"),
        (babbling, "HttpParser"),
        (
            sending(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
            "HttpParserUpgrade",
        ),
    ],
)
def test_what_is_no_answer_is_an_error_in_time(receiver: Receiver, behaviour: Behaviour, said: str) -> None:
    receiver.behaviours.append(behaviour)
    with closing(Line(origin(receiver), "t")) as line:
        with pytest.raises(LineError, match=said):
            line.post("/", BODY, patience_s=0.5)
        # The next one is not held up by it.
        assert line.post("/", BODY, patience_s=10).status == 204


def test_an_absent_service_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        line = Line(f"http://127.0.0.1:{unused.getsockname()[1]}", "t")
        with pytest.raises(LineError, match="refused"):
            line.post("/", BODY, patience_s=10)


class Keeper:
    """A server that answers every request of a connection until it is told to hang up, and counts connections."""

    def __init__(self, answer: Callable[[int], bytes] = lambda _: KEPT) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection, len(self.connections)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        data = b""
        while True:
            try:
                part = connection.recv(65536)
            except OSError:
                return
            if not part:
                return
            data += part
            if data.endswith(BODY):
                data = b""
                connection.sendall(self._answer(number))

    def hang_up(self) -> None:
        """Close all connections."""
        for connection in self.connections:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def join(self, timeout_s: float) -> None:
        """Wait for the clients to close all connections."""
        for thread in self._threads[1:]:
            thread.join(timeout_s)
            assert not thread.is_alive()

    def close(self) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with closing(Keeper()) as made:
        yield made


def test_one_connection_takes_many_requests(keeper: Keeper) -> None:
    with closing(Line(keeper.origin, "t")) as line:
        assert {line.post("/", BODY, patience_s=10).status for _ in range(20)} == {200}
    assert len(keeper.connections) == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced(keeper: Keeper) -> None:
    with closing(Line(keeper.origin, "t")) as line:
        line.post("/", BODY, patience_s=10)
        keeper.hang_up()
        assert line.post("/", BODY, patience_s=10).status == 200
    assert len(keeper.connections) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        KEPT + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ],
    ids=["closing", "saying-too-much"],
)
def test_a_connection_that_cannot_be_trusted_is_not_kept(answer: bytes) -> None:
    with closing(Keeper(lambda _: answer)) as keeper, closing(Line(keeper.origin, "t")) as line:
        assert [line.post("/", BODY, patience_s=10).content for _ in range(3)] == [b"{}"] * 3
        assert len(keeper.connections) == 3


def test_threads_share_a_few_connections(keeper: Keeper) -> None:
    with closing(Line(keeper.origin, "t")) as line:

        def ask() -> None:
            for _ in range(25):
                assert line.post("/", BODY, patience_s=30).status == 200

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(keeper.connections) <= 4


def test_nothing_is_kept_after_the_end(keeper: Keeper) -> None:
    line = Line(keeper.origin, "t")
    line.post("/", BODY, patience_s=10)
    line.close()
    line.post("/", BODY, patience_s=10)
    # Both connections were closed by the line, so the server's threads come to their ends.
    keeper.join(30)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"http_proxy": "http://proxy.example:3128"}, False),
        ({"all_proxy": "http://proxy.example:3128"}, False),
        ({"https_proxy": "http://proxy.example:3128"}, True),
        ({"http_proxy": "http://proxy.example:3128", "no_proxy": "caviar.example"}, True),
        ({"http_proxy": "http://proxy.example:3128", "no_proxy": "other.example"}, False),
    ],
)
def test_proxies_of_the_environment_are_seen(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_direct("http://caviar.example:8000") is expected
