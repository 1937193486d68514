"""How many requests one client may make: strangers by their address, everybody else by their token."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caviar.contract.errors import RateLimited, Unavailable
from service.api.authentication import is_public
from service.api.guards import facts
from service.api.guards.facts import client_address
from service.api.problems import answer
from service.domain.buckets import Buckets
from service.domain.networks import customer
from service.domain.principal import Principal

_UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
_WIRE_ENDINGS = ("/measurements", ":claim", ":heartbeat", ":finish", ":release")
_STREAM_ENDINGS = ("/events", "/live")
_CLAIM_ENDING = ":claim"
# One that is answered, and others that a worker which hung up no longer waits for.
_MAX_CLAIMS_PER_WORKER = 16
_MAX_KNOWN = 10_000
_PROVEN_S = 60.0
_SIGN_IN = "/login"
_UNAUTHORIZED, _TO_SIGN_IN = 401, 303


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may do.

    Attributes:
        requests_per_s: Of people and scripts, for each token.
        worker_requests_per_s: On the worker wire, for each token.
        stranger_requests_per_s: Without a token, for each address.
        failures_per_s: Failed attempts to sign in, for each address.
        burst_s: Seconds' worth of requests that may come at once.
        max_streams: Streams of events at a time, in all.
        max_streams_each: Streams of events at a time, for each token.
    """

    requests_per_s: float
    worker_requests_per_s: float
    stranger_requests_per_s: float
    failures_per_s: float
    burst_s: float
    max_streams: int
    max_streams_each: int

    def buckets(self, rate_per_s: float) -> Buckets:
        """Buckets that fill at a rate."""
        return Buckets(rate_per_s, max(1.0, rate_per_s * self.burst_s))


class Strangers:
    """ASGI middleware before authentication: counts requests without a token, and tokens that turn out wrong."""

    def __init__(self, app: ASGIApp, *, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        """Count for an application."""
        self._app = app
        self._clock = clock
        self._requests = limits.buckets(limits.stranger_requests_per_s)
        self._failures = limits.buckets(limits.failures_per_s)
        # What has proved right lately, as hashes, and until when that counts: whoever guesses tokens from the same
        # address, which may be a proxy's, cannot lock it out.
        self._proven: dict[int, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http" or scope["path"] in _UNCOUNTED:
            await self._app(scope, receive, send)
            return
        shown = facts.known(scope).credentials
        key = None if shown is None else hash(shown)
        now = self._clock()
        if key is not None and self._proven.get(key, now) > now:
            await self._app(scope, receive, send)
            return
        source = customer(client_address(scope))
        wait_s = self._failures.wait_s(source, now)
        if wait_s == 0.0 and key is None:
            wait_s = self._requests.take(source, now)
        if wait_s > 0.0:
            error = _limited("requests of this address without a valid token", wait_s)
            await answer(Request(scope), error)(scope, receive, send)
            return
        await self._app(scope, receive, self._judging(scope, send, key, source))

    def _judging(self, scope: Scope, send: Send, key: int | None, source: str) -> Send:
        async def judged(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._judge(scope, int(message["status"]), key, source)
            await send(message)

        return judged

    def _judge(self, scope: Scope, status: int, key: int | None, source: str) -> None:
        path: str = scope["path"]
        if is_public(path):
            if path == _SIGN_IN and status == _UNAUTHORIZED:
                self._failures.take(source, self._clock())
        elif key is not None and "principal" in scope.get("state", ()):
            if len(self._proven) >= _MAX_KNOWN:
                self._proven.clear()
            self._proven[key] = self._clock() + _PROVEN_S
        elif key is not None and status in (_UNAUTHORIZED, _TO_SIGN_IN):
            self._failures.take(source, self._clock())


class Rates:
    """ASGI middleware after authentication: counts requests and streams by token, and waiting claims by worker."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        wire: Buckets | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count for an application.

        Args:
            app: The application.
            limits: What one client may do.
            wire: Counts requests of the worker wire; None for buckets of its own.
            clock: Tells seconds; never set.
        """
        self._app = app
        self._clock = clock
        self._limits = limits
        self._requests = limits.buckets(limits.requests_per_s)
        self._wire = wire or limits.buckets(limits.worker_requests_per_s)
        self._open: dict[object, int] = {}
        self._num_streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if principal is None:  # Whoever needs no token was counted before.
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        buckets = self._wire if path.endswith(_WIRE_ENDINGS) else self._requests
        wait_s = buckets.take(owner(principal), self._clock())
        if wait_s > 0.0:
            error = _limited(f"requests of the token {principal.name!r}", wait_s)
            await answer(Request(scope), error)(scope, receive, send)
        elif path.endswith(_STREAM_ENDINGS):
            await self._stream(principal, scope, receive, send)
        elif path.endswith(_CLAIM_ENDING):
            await self._lasting((path,), _MAX_CLAIMS_PER_WORKER, "claims of this worker", (scope, receive, send))
        else:
            await self._app(scope, receive, send)

    async def _stream(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        if self._num_streams >= self._limits.max_streams:
            full = Unavailable(f"{self._num_streams} streams of events are open, which are all that this service takes")
            await answer(Request(scope), full)(scope, receive, send)
            return
        self._num_streams += 1
        try:
            limit = self._limits.max_streams_each
            await self._lasting(owner(principal), limit, "streams of this token", (scope, receive, send))
        finally:
            self._num_streams -= 1

    async def _lasting(self, key: object, limit: int, what: str, call: tuple[Scope, Receive, Send]) -> None:
        num_open = self._open.get(key, 0)
        if num_open >= limit:
            error = RateLimited(f"{num_open} {what} are open, expected at most {limit} at a time")
            await answer(Request(call[0]), error)(*call)
            return
        self._open[key] = num_open + 1
        try:
            await self._app(*call)
        finally:
            if self._open[key] == 1:
                del self._open[key]
            else:
                self._open[key] -= 1


def owner(principal: Principal) -> int | str | None:
    """By what the requests of somebody are counted."""
    # Whoever came from an identity provider has no token.
    return principal.name if principal.is_session and principal.token_id is None else principal.token_id


def _limited(what: str, wait_s: float) -> RateLimited:
    seconds = max(1, math.ceil(wait_s))
    error = RateLimited(f"there are too many {what}; repeat this one after {seconds} s")
    error.retry_after_s = float(seconds)
    return error
