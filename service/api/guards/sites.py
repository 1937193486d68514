"""Requests that pages of other sites cause: refused, but those of pages that the operator names and a token."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

from caviar.contract.errors import Forbidden
from service.api.guards.facts import Facts
from service.domain.origins import Called, is_foreign

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_API = "/api/"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_TOLD = b"Authorization, Content-Type, Last-Event-ID, Caviar-Lease, Caviar-SHA256, Caviar-Epoch"
_SHOWN = b"ETag, Retry-After, Content-Disposition, Caviar-SHA256, Caviar-Epoch"
_PREFLIGHT_S = b"600"
Headers = list[tuple[bytes, bytes]]


class Sites:
    """Tells requests of our own pages and of programs from those that another site has caused."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """Let pages of some origins call the API with a token."""
        self._allowed = frozenset(allowed)

    def check(self, scope: Scope, facts: Facts, host: bytes) -> Headers:
        """See that a request which does or follows something is not another site's.

        Reading once is no harm: a page of another site is not shown the answer.

        Args:
            scope: Of the request; the cookies of an allowed page are taken out of it.
            facts: Of the request.
            host: The host by which the browser called.
        Returns:
            Headers that let the page of an allowed origin see the answer.
        Raises:
            Forbidden: Another site has caused it (403).
        """
        origin, site = facts.text(b"origin"), facts.text(b"sec-fetch-site")
        if origin is None and site is None:
            return []
        is_allowed = bool(self._allowed) and origin in self._allowed and scope["path"].startswith(_API)
        if is_allowed:
            _forget_cookies(scope, facts)
            return [
                (b"access-control-allow-origin", str(origin).encode("latin-1")),
                (b"access-control-expose-headers", _SHOWN),
                (b"vary", b"Origin"),
            ]
        if scope["method"] in SAFE_METHODS and not self._is_lasting(scope, facts):
            return []
        if is_foreign(origin, site, Called(scope["scheme"], host.decode("latin-1"))):
            raise Forbidden(
                f"received what a page of another site has sent (Origin: {origin}, Sec-Fetch-Site: {site}), expected a "
                "request of the service's own pages or of a program; an operator names other pages that may call the "
                "API with a token in CAVIAR_ALLOWED_ORIGINS"
            )
        return []

    @staticmethod
    def is_preflight(scope: Scope, facts: Facts) -> bool:
        """Whether a browser asks what a page of another site may send."""
        return scope["method"] == "OPTIONS" and facts.get(b"access-control-request-method") is not None

    def preflight(self, scope: Scope, facts: Facts) -> Headers:
        """What a page of an allowed origin may send.

        Raises:
            Forbidden: Its origin is not among those that the operator names (403).
        """
        origin = facts.text(b"origin")
        if origin not in self._allowed or not scope["path"].startswith(_API):
            raise Forbidden(
                f"received a question whether pages of {origin} may call {scope['path']}, expected an origin that is "
                "named in CAVIAR_ALLOWED_ORIGINS, and a path below /api/"
            )
        return [
            (b"access-control-allow-origin", str(origin).encode("latin-1")),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _TOLD),
            (b"access-control-max-age", _PREFLIGHT_S),
            (b"vary", b"Origin"),
        ]

    @staticmethod
    def _is_lasting(scope: Scope, facts: Facts) -> bool:
        path: str = scope["path"]
        return path.endswith(("/events", "/live")) or b"text/event-stream" in (facts.get(b"accept") or b"")


def _forget_cookies(scope: Scope, facts: Facts) -> None:
    if facts.headers.pop(b"cookie", None) is not None:
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
