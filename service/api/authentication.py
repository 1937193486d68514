"""Denies by default: only a short list of paths is reached without a valid token or session."""

from __future__ import annotations

import asyncio
import hmac
import time
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from caviar.contract.errors import CaviarError, Forbidden, Unauthorized
from service.api.problems import answer
from service.domain.principal import Principal
from service.use_cases import identity
from service.use_cases.service import Service

COOKIE = "caviar_session"
PUBLIC_PATHS = frozenset({"/login", "/healthz", "/readyz"})
PUBLIC_PREFIX = "/static/"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# How long a token that was found valid is not looked up again; the price is that a revoked one works this much longer.
_REMEMBERED_S = 5.0
_MAX_REMEMBERED = 10_000


def is_public(path: str) -> bool:
    """Whether a path may be reached without signing in."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIX)


class Authentication:
    """ASGI middleware that puts the `Principal` of each request into its state, or refuses the request."""

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        """Guard an application."""
        self._app = app
        self._service = service
        self._remembered: dict[str, tuple[float, Principal]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and is_public(scope["path"])):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"received a {scope['type']} connection, expected http")
        try:
            scope.setdefault("state", {})["principal"] = await self._principal(HTTPConnection(scope))
        except CaviarError as error:
            await _refuse(error, Request(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _principal(self, connection: HTTPConnection) -> Principal:
        kind, _, token = connection.headers.get("authorization", "").partition(" ")
        if token:
            if kind.lower() != "bearer":
                raise Unauthorized(f"received the scheme {kind!r}, expected `Authorization: Bearer TOKEN`")
            return await self._known(token.strip(), is_session=False)
        secret = connection.cookies.get(COOKIE)
        if secret is None:
            raise Unauthorized(
                "received no access token, expected `Authorization: Bearer TOKEN` or a signed-in browser"
            )
        principal = await self._known(secret, is_session=True)
        # A cookie travels with requests that other sites cause; those must not change anything.
        if connection.scope["method"] not in _SAFE_METHODS and not _is_same_origin(connection.headers):
            raise Forbidden("a signed-in browser may only write from the service's own pages")
        return principal

    async def _known(self, secret: str, *, is_session: bool) -> Principal:
        key = identity.digest(secret)
        remembered = None if is_session else self._remembered.get(key)
        if remembered is not None and time.monotonic() < remembered[0]:
            return remembered[1]
        principal = await asyncio.to_thread(self._look_up, secret, is_session)
        if principal is None:
            self._remembered.pop(key, None)
            raise Unauthorized("the access token is not valid (any more)")
        # A session must end the moment that its browser signs out, so only access tokens are remembered.
        if not is_session:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = (time.monotonic() + _REMEMBERED_S, principal)
        return principal

    def _look_up(self, secret: str, is_session: bool) -> Principal | None:
        with self._service.reading() as tx:
            return identity.authenticate(tx, secret, is_session=is_session)


def _is_same_origin(headers: Headers) -> bool:
    if site := headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and hmac.compare_digest(urlsplit(origin).netloc, headers.get("host", ""))


def _refuse(error: CaviarError, request: Request) -> ASGIApp:
    wants_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if isinstance(error, Unauthorized) and wants_page and not request.url.path.startswith("/api/"):
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(target, safe='')}", status_code=303)
    return answer(request, error)
