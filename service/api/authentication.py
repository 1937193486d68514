"""Denies by default: only a short list of paths is reached without a valid token or session."""

from __future__ import annotations

import asyncio
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from caviar.contract.errors import CaviarError, Forbidden, Unauthorized, Unavailable
from service.api import guarding
from service.api.problems import answer
from service.domain.principal import Origin, Principal, Role
from service.use_cases import identity
from service.use_cases.recognition import Recognition
from service.use_cases.service import Service

CALLER = "caviar.caller"
"""Where the scope of a request holds its `Caller`."""
COOKIE = "caviar_session"
FORM_TOKEN_HEADER = "X-CSRF-Token"
PUBLIC_PATHS = frozenset({"/login", "/login/oidc", "/login/oidc/callback", "/healthz", "/readyz"})
PUBLIC_PREFIXES = ("/static/", "/share/")
# All that a worker's token opens, whatever a route may forget to check.
_WIRE = re.compile(
    r"/api/v1/(?:workers(?:/[^/]+:(?:claim|heartbeat))?|measurements|whoami"
    r"|trials/[^/]+(?::(?:finish|release)|/checkpoints/[^/]+|/weights))|/logout(?:/everywhere)?"
)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_CALLERS = 1000


def is_public(path: str) -> bool:
    """Whether a path may be reached without signing in."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and by what.

    Attributes:
        principal: Who it is.
        digest: Of the secret.
        secret: Of the session; None without one.
    """

    principal: Principal
    digest: str
    secret: str | None = None


def is_recognised(recognition: Recognition, caller: Caller) -> bool:
    """Whether a token still lets its caller in, as far as is known without the database."""
    return recognition.find(caller.digest, is_session=False) is caller.principal


class Authentication:
    """ASGI middleware that puts the `Principal` of each request into its state, or refuses the request.

    Of a browser's session, the state also holds `form_token`, which its forms and scripts must carry to write.
    """

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        """Guard an application."""
        self._app = app
        self._service = service
        # By what they showed, so that a token is read and hashed once, not at each request. Whether it still lets its
        # caller in is asked each time all the same.
        self._callers: dict[bytes, Caller] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and is_public(scope["path"])):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"received a {scope['type']} connection, expected http")
        is_safe = scope["method"] in _SAFE_METHODS
        try:
            caller = await self._caller(scope)
            if caller.principal.role is Role.WORKER and _WIRE.fullmatch(scope["path"]) is None:
                raise Forbidden(
                    "the role worker may only do what the worker protocol needs; use a token of another role"
                )
            if caller.secret is not None and not is_safe:
                receive = await _require_own_page(HTTPConnection(scope), caller.secret, receive)
        except CaviarError as error:
            await _refuse(error, Request(scope))(scope, receive, send)
            return
        scope[CALLER] = caller
        state = scope.setdefault("state", {})
        state["principal"] = caller.principal
        if not is_safe and caller.principal.role is not Role.WORKER:
            # What people change is written down together with where the request came from.
            state["principal"] = caller.principal.coming_from(Origin.of(scope))
        if caller.secret is not None:
            state["form_token"] = identity.form_token(caller.secret)
        if is_safe:
            await guarding.watched(self._app, scope, receive, send, lambda: self._may_go_on(caller))
        else:
            await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        shown = _authorization(scope)
        seen = self._callers.get(shown)
        if seen is not None:
            if is_recognised(self._service.recognition, seen):
                return seen
            self._callers.pop(shown, None)
        kind, _, token = shown.decode("latin-1").partition(" ")
        if token:
            if kind.lower() != "bearer":
                raise Unauthorized(f"received the scheme {kind!r}, expected `Authorization: Bearer TOKEN`")
            digest = identity.digest(token.strip())
            caller = Caller(await self._known(digest, is_session=False), digest)
            if len(self._callers) >= _MAX_CALLERS:
                self._callers.clear()
            self._callers[shown] = caller
            return caller
        secret = HTTPConnection(scope).cookies.get(COOKIE)
        if secret is None:
            raise Unauthorized(
                "received no access token, expected `Authorization: Bearer TOKEN` or a signed-in browser"
            )
        digest = identity.digest(secret)
        return Caller(await self._known(digest, is_session=True), digest, secret)

    async def _known(self, digest: str, *, is_session: bool) -> Principal:
        found = self._service.recognition.find(digest, is_session=is_session)
        if found is None:
            found = await asyncio.to_thread(identity.recognise, self._service, digest, is_session=is_session)
        if found is None:
            raise Unauthorized("the access token is not valid (any more)")
        return found

    async def _may_go_on(self, caller: Caller) -> bool:
        try:
            await self._known(caller.digest, is_session=caller.secret is not None)
        except Unauthorized:
            return False
        except Unavailable:  # Nobody is sent away because the database is.
            return True
        return True


def _authorization(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"authorization":
            found: bytes = value
            return found
    return b""


async def _require_own_page(connection: HTTPConnection, secret: str, receive: Receive) -> Receive:
    # A cookie travels with requests that other sites cause; those must not change anything.
    if not _is_same_origin(connection.headers):
        raise Forbidden("a signed-in browser may only write from the service's own pages")
    sent: str | None = connection.headers.get(FORM_TOKEN_HEADER)
    if sent is None and not connection.scope["path"].startswith("/api/"):
        sent, receive = await guarding.sent_by_form(receive)
    if sent is None or not hmac.compare_digest(sent.encode(), identity.form_token(secret).encode()):
        raise Forbidden("this form was not made for this browser's session; load its page again, then send it again")
    return receive


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
