"""Watching over every request: its id, how long its answer took, and what is logged of it."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping
from time import perf_counter

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.occasion import CURRENT
from service.metrics.requests import Requests
from service.use_cases.service import Service

HEADER = "X-Request-Id"
UNMATCHED = "unmatched"
"""In place of the template of a route, for paths that lead nowhere."""

_HEADER, _SENT_HEADER = HEADER.lower().encode(), HEADER.encode()
_SANE = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
_OCCASION = "caviar.occasion"
_LEASE_LOST = 410
_FACTS = {"trial_id": "trial_id", "worker_id": "worker_id"}
# It waits for work as long as its worker wants it to, so that it is no slow request.
_WAITING_ROUTE = "/workers/{worker_id}:claim"
_log = structlog.get_logger(__name__)


class RequestOccasion:
    """A request as log lines and problem bodies tell of it; it is looked at only when they do."""

    __slots__ = ("_prefix", "_scope", "request_id")

    def __init__(self, request_id: str, scope: Scope, prefix: str) -> None:
        """Remember a request.

        Args:
            request_id: What it is told by.
            scope: To which routing and authentication add what they find.
            prefix: Of the paths of routes that do not hold it themselves.
        """
        self.request_id = request_id
        self._scope = scope
        self._prefix = prefix

    @property
    def route(self) -> str:
        """Template of its path, once it is known."""
        route = self._scope.get("route")
        # Without the names of convertors.
        path: str | None = getattr(route, "path_format", None)
        if path is None:
            return UNMATCHED
        # The path of a route in a router that was included lacks the prefix.
        is_whole = path.startswith(self._prefix) or not self._scope["path"].startswith(self._prefix)
        return path if is_whole else self._prefix + path

    def facts(self) -> Mapping[str, object]:
        """What is known of it by now: its id, route, who asks, and which study, trial or worker it is about."""
        found: dict[str, object] = {"request_id": self.request_id, "route": f"{self._scope['method']} {self.route}"}
        principal = self._scope.get("state", {}).get("principal")
        if principal is not None:
            found["principal"] = principal.name
        named = self._scope.get("path_params", {})
        found.update((name, named[key]) for key, name in _FACTS.items() if key in named)
        if "/studies/{name}" in self.route:
            found["study"] = named.get("name")
        return found


def request_id(request: Request) -> str | None:
    """The id of a request; None outside of the application."""
    found: RequestOccasion | None = request.scope.get(_OCCASION)
    return found.request_id if found is not None else None


def sign(request: Request, response: Response) -> None:
    """Put the id of a request on an answer that is sent outside of all middlewares."""
    if (known := request_id(request)) is not None:
        response.headers[HEADER] = known


class Observation:
    """ASGI middleware, the outermost, that gives each request an id and counts it; a few microseconds per request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: Service,
        requests: Requests,
        prefix: str,
        slow_request_s: float,
        has_access_log: bool,
    ) -> None:
        """Watch over an application.

        Args:
            app: The application.
            service: Counts leases that were lost.
            requests: Counts requests.
            prefix: Of the paths of the programming interface.
            slow_request_s: Seconds from which on a request is logged as slow.
            has_access_log: Whether a line is logged for every request.
        """
        self._app = app
        self._service = service
        self._requests = requests
        self._prefix = prefix
        self._slow_request_s = slow_request_s
        self._has_access_log = has_access_log
        self._run, self._numbers = secrets.token_hex(4), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass and watch it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        occasion = RequestOccasion(_told(scope) or f"{self._run}-{next(self._numbers):x}", scope, self._prefix)
        scope[_OCCASION] = occasion
        # It is never reset: the task ends with the request, and what is logged of a failure comes after this.
        CURRENT.set(occasion)
        status, answered_at = 0, 0.0
        header = (_SENT_HEADER, occasion.request_id.encode())
        begun_at = perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status, answered_at
            if message["type"] == "http.response.start":
                status, answered_at = message["status"], perf_counter()
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        self._requests.num_open += 1
        try:
            await self._app(scope, receive, watched)
        except Exception:
            status = 500
            raise
        finally:
            self._requests.num_open -= 1
            self._answered(occasion, scope, status, (answered_at or perf_counter()) - begun_at)

    def _answered(self, occasion: RequestOccasion, scope: Scope, status: int, seconds: float) -> None:
        route = occasion.route
        self._requests.answered(route, scope["method"], status, seconds)
        if status == _LEASE_LOST:
            self._service.counts.lost(1)
        if status >= 500:
            _log.warning("request.failed", status=status, seconds=round(seconds, 4))
        elif seconds >= self._slow_request_s and not route.endswith(_WAITING_ROUTE):
            _log.warning("request.slow", status=status, seconds=round(seconds, 4))
        if self._has_access_log:
            client = (scope.get("client") or (None,))[0]
            _log.info("request", path=scope["path"], status=status, seconds=round(seconds, 4), client=client)


def _told(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER:
            return value.decode() if _SANE.fullmatch(value) else None
    return None
