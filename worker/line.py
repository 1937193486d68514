"""Small requests to the service at a small part of what a general client spends on them.

Reports are the most frequent thing that a worker does, and its processor belongs to the training. A request is a few
bytes on a connection that is kept, and httptools reads the answer. Files, proxies and traces are left to httpx2.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
import urllib.request
from typing import NamedTuple

import httptools
import httpx2

from caviar.trust import verification

_CONNECT_S = 5.0
# The service closes what is idle for longer than that.
_KEEP_S = 60.0
_MAX_KEPT = 4
_CHUNK_BYTES = 1 << 16
_FIRST_FINAL_STATUS = 200


class LineError(Exception):
    """There is no answer: nobody listens, the connection broke, time ran out, or what came is no HTTP."""


class Reply(NamedTuple):
    """What the service answered."""

    status: int
    content: bytes
    retry_after: str | None


class Line:
    """Connections to one service, kept between requests; any number of threads may share them.

    Authority for what goes over them: RFC 9112. No redirect is followed, no encoding asked for, nothing repeated.
    """

    def __init__(self, url: str, token: str) -> None:
        """Nothing is connected yet.

        Args:
            url: Address of the service, by http or https.
            token: Its access token.
        Raises:
            InvalidRequest: `CAVIAR_CA_FILE` names no file of certificates.
        """
        parsed = httpx2.URL(url)
        self._host, self._is_secure = parsed.host, parsed.scheme == "https"
        self._port = parsed.port or (443 if self._is_secure else 80)
        self._context = httpx2.create_ssl_context(verification()) if self._is_secure else None
        self._path = parsed.raw_path.rstrip(b"/")
        self._head = (
            b" HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer %b\r\nAccept: application/json\r\n"
            b"Content-Type: application/json\r\nUser-Agent: caviar-worker\r\nContent-Length: "
        ) % (parsed.netloc, token.encode("ascii"))
        self._lock = threading.Lock()
        self._kept: list[_Connection] = []
        self._is_closed = False

    def post(self, path: str, body: bytes, *, patience_s: float) -> Reply:
        """Send a JSON body and wait for the answer.

        Args:
            path: Path below the address.
            body: What to send.
            patience_s: Seconds that sending and the answer may take, from the time that a connection is there.
        Raises:
            LineError: There is no answer; whether the service has seen the request is not known.
        """
        connection = self._take() or self._connect()
        request = b"POST %b%b%b%d\r\n\r\n%b" % (self._path, path.encode("ascii"), self._head, len(body), body)
        try:
            reply = connection.ask(request, time.monotonic() + patience_s)
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            connection.close()
            raise LineError(f"{type(error).__name__}: {error}") from error
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return reply

    def close(self) -> None:
        """Close what is kept, and keep nothing from now on."""
        with self._lock:
            self._is_closed = True
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()

    def _take(self) -> _Connection | None:
        while True:
            with self._lock:
                if not self._kept:
                    return None
                connection = self._kept.pop()
            if connection.is_usable():
                return connection
            connection.close()

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            if connection.is_kept_alive and not self._is_closed and len(self._kept) < _MAX_KEPT:
                self._kept.append(connection)
                return
        connection.close()

    def _connect(self) -> _Connection:
        try:
            made = socket.create_connection((self._host, self._port), _CONNECT_S)
        except OSError as error:
            raise LineError(f"{type(error).__name__}: {error}") from error
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                made = self._context.wrap_socket(made, server_hostname=self._host)
        except OSError as error:
            made.close()
            raise LineError(f"{type(error).__name__}: {error}") from error
        return _Connection(made)


class _Connection:
    """One connection, on which one request is under way at a time."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._used_at = time.monotonic()
        self.is_kept_alive = True

    def is_usable(self) -> bool:
        """Whether another request may go over it: the other side neither closed it nor said anything unasked."""
        if time.monotonic() - self._used_at > _KEEP_S:
            return False
        # What a broken peer sent too much, already decrypted, would be taken for the next answer.
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return False
        watched = select.poll()
        watched.register(self._socket, select.POLLIN)
        return not watched.poll(0)

    def ask(self, request: bytes, deadline: float) -> Reply:
        """Send a request and read its answer until a time of the monotonic clock."""
        self._until(deadline)
        self._socket.sendall(request)
        answer = _Answer()
        while not answer.is_complete:
            self._until(deadline)
            data = self._socket.recv(_CHUNK_BYTES)
            if not data:
                answer.end()
                break
            answer.feed(data)
        self._used_at = time.monotonic()
        self.is_kept_alive = answer.is_kept_alive
        return Reply(answer.status, b"".join(answer.parts), answer.retry_after)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _until(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)


class _Answer:
    """An answer as far as it has come; its methods are called by the parser."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._has_head = self._has_length = self._has_more = False
        self.status = 0
        self.parts: list[bytes] = []
        self.retry_after: str | None = None
        self.is_complete = self.is_kept_alive = False

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._parser.feed_data(data)
        # Whoever answers what was not asked would answer the next request with it.
        self.is_kept_alive = self.is_kept_alive and not self._has_more

    def end(self) -> None:
        """The other side has closed the connection, which ends an answer that did not tell its length."""
        if not self._has_head or self._has_length:
            raise ConnectionError("the connection was closed before the end of the answer")
        self.is_complete, self.is_kept_alive = True, False

    def on_message_begin(self) -> None:
        """The beginning of this answer, of one that announces it, or of one too many."""
        self._has_more = self.is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        if self.is_complete:
            return
        lowered = name.lower()
        if lowered in (b"content-length", b"transfer-encoding"):
            self._has_length = True
        elif lowered == b"retry-after":
            self.retry_after = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """The end of the head, of the answer itself or of one that only announces it."""
        if self.is_complete:
            return
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= _FIRST_FINAL_STATUS

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if not self.is_complete:
            self.parts.append(data)

    def on_message_complete(self) -> None:
        """The end of an answer."""
        if self._has_head and not self.is_complete:
            self.is_complete = True
            self.is_kept_alive = self._parser.should_keep_alive()


def is_direct(url: str) -> bool:
    """Whether the variables of the environment put no proxy between this machine and an address."""
    parsed = httpx2.URL(url)
    proxies = urllib.request.getproxies()
    if parsed.scheme not in proxies and "all" not in proxies:
        return True
    return bool(urllib.request.proxy_bypass(parsed.netloc.decode("ascii")))
