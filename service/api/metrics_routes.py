"""What Prometheus asks for."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from caviar.contract.errors import Forbidden
from service.metrics.exposition import CONTENT_TYPE, Exposition

PATH = "/metrics"
router = APIRouter(tags=["operations"])


def _admin(request: Request) -> None:
    principal = request.state.principal
    if principal.role != "admin" or principal.scope is not None:
        raise Forbidden(
            f"the role {principal.role} may not read metrics; it takes the role admin for all studies, "
            "or the metrics token"
        )


@router.get(
    PATH, response_class=Response, responses={200: {"content": {"text/plain": {}}}}, dependencies=[Depends(_admin)]
)
async def read_metrics(request: Request) -> Response:
    """Counts, sizes and latencies of this process and of the database, in the text format of Prometheus."""
    return await _answer(request.app.state.exposition)


async def _answer(exposition: Exposition) -> Response:
    return Response(await exposition.text(), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)


class Scrapers:
    """Who may read what is told to Prometheus, apart from administrators; asking it needs no database."""

    def __init__(self, *, token: str | None, is_public: bool) -> None:
        """Decide by a token.

        Args:
            token: The one that Prometheus sends; None for no such token.
            is_public: Whether anybody may.
        """
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._is_public = is_public

    def admit(self, headers: Headers) -> bool:
        """Whether these headers let somebody in."""
        sent = headers.get("authorization", "").encode()
        return self._is_public or (self._expected is not None and hmac.compare_digest(sent, self._expected))


class Scraping:
    """ASGI middleware that lets Prometheus in, by a token that opens nothing else, or without one if that is set."""

    def __init__(self, app: ASGIApp, *, exposition: Exposition, scrapers: Scrapers) -> None:
        """Guard an application.

        Args:
            app: The application.
            exposition: What Prometheus is told.
            scrapers: Who is let in.
        """
        self._app = app
        self._exposition = exposition
        self._scrapers = scrapers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a scrape that may be answered; all others go the way of every request."""
        is_scrape = scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET"
        if is_scrape and self._scrapers.admit(Headers(scope=scope)):
            await (await _answer(self._exposition))(scope, receive, send)
            return
        await self._app(scope, receive, send)
