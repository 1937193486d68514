"""Signing in and out in a browser: an access token, or the secret of a link, is exchanged for a session cookie."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import Forbidden, NotFound, Unauthorized
from service.domain.attempts import Attempts
from service.domain.principal import Origin
from service.use_cases import identity
from service.use_cases.service import Service
from service.use_cases.vouching import SignOn
from service.web import rendering
from service.web.acting import service_of

COOKIE = "caviar_session"
NO_STORE = {"Cache-Control": "no-store"}
"""What every answer about signing in carries."""

_MAX_TOKEN_CHARACTERS = 1000
_MAX_FAILURES = 10
_FORGIVEN_EVERY_S = 6.0

router = APIRouter(include_in_schema=False)


def new_attempts() -> Attempts:
    """The failures of a process: ten at once, then one every six seconds."""
    return Attempts(_MAX_FAILURES, _FORGIVEN_EVERY_S)


def safe_next(target: str) -> str:
    """Where to go after signing in: a path of this service, `/` in place of anything else."""
    is_plain = target.isascii() and target.isprintable() and "\\" not in target
    if not is_plain or not target.startswith("/") or target.startswith("//"):
        return "/"
    path = urlsplit(target).path
    return "/" if path in ("/login", "/logout") or path.startswith("/login/") else target


@router.get("/login")
def show(
    request: Request,
    token: Annotated[str, Query(max_length=_MAX_TOKEN_CHARACTERS)] = "",
    next_path: Annotated[str, Query(alias="next", max_length=2000)] = "/",
) -> Response:
    """The form; with a token in the address, sign in at once."""
    if token:
        return _sign_in(request, token, next_path)
    return form(request, safe_next(next_path))


@router.post("/login")
def submit(
    request: Request,
    token: Annotated[str, Form(max_length=_MAX_TOKEN_CHARACTERS)] = "",
    next_path: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Sign in with the token of the form."""
    _require_own_form(request)
    return _sign_in(request, token.strip(), next_path)


@router.get("/share/{secret}")
def open_share(request: Request, secret: str) -> Response:
    """Show the study of a share link: by the session that the browser has, if that sees it, else by a new one."""
    service: Service = request.app.state.service
    name = identity.shared_study(service, secret[:_MAX_TOKEN_CHARACTERS])
    if name is None:
        if note_failure(request):
            identity.refuse(service, Origin.of(request.scope), "the link is not valid")
        raise NotFound("this link is not valid any more; ask whoever sent it for a new one")
    target = f"/studies/{name}"
    current = identity.session_of(service, request.cookies.get(COOKIE, ""))
    if current is not None and current.sees(name):
        return RedirectResponse(target, status_code=303, headers=rendering.HEADERS | NO_STORE)
    return _sign_in(request, secret, target)


@router.post("/logout")
def leave(request: Request) -> Response:
    """End the session and go to the form."""
    if secret := request.cookies.get(COOKIE):
        identity.close_session(service_of(request), secret)
    return _left(request)


@router.post("/logout/everywhere")
def leave_everywhere(request: Request) -> Response:
    """End all sessions that were opened with the same token, and go to the form."""
    identity.close_all_sessions(service_of(request))
    return _left(request)


def signed_in(
    request: Request, secret: str, target: str, *, lasts: timedelta = timedelta(days=identity.SESSION_DAYS)
) -> Response:
    """The answer that hands a session to a browser, in place of the one that it had.

    Args:
        request: Of the browser.
        secret: Of the session.
        target: Where to go then.
        lasts: How long the browser keeps it.
    """
    if old := request.cookies.get(COOKIE):
        identity.drop_session(request.app.state.service, old)
    answer = RedirectResponse(target, status_code=303, headers=rendering.HEADERS | NO_STORE)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=int(lasts.total_seconds()),
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )
    return answer


def is_https(request: Request) -> bool:
    """Whether the browser talks to us, or to a proxy of ours, by TLS."""
    return request.url.scheme == "https"


def form(request: Request, target: str, refusal: str = "", *, outage: str = "", status: int = 200) -> Response:
    """The page to sign in on.

    Args:
        request: Of the browser.
        target: Where to go then.
        refusal: Why the token is not taken; empty without one.
        outage: Why it did not work through the identity provider.
        status: HTTP status.
    """
    sign_on: SignOn | None = request.app.state.sign_on
    provider = None if sign_on is None else sign_on.label
    told = {"next_path": target, "refusal": refusal, "outage": outage, "provider": provider}
    return rendering.page("login.html", status=status, headers=NO_STORE, **told)


def too_many(request: Request, target: str) -> Response | None:
    """The page for an address that has failed too often; None if it may try."""
    attempts: Attempts = request.app.state.sign_ins
    wait_s = math.ceil(attempts.wait_s(Origin.of(request.scope).address or ""))
    if not wait_s:
        return None
    answer = form(request, target, f"There were too many attempts in vain; try again in {wait_s} seconds.", status=429)
    answer.headers["Retry-After"] = str(wait_s)
    return answer


def note_failure(request: Request) -> bool:
    """Count a failure, and say whether it is worth being written down: not of whoever tries again and again."""
    attempts: Attempts = request.app.state.sign_ins
    address = Origin.of(request.scope).address or ""
    is_first = not attempts.wait_s(address)
    if is_first:
        attempts.fail(address)
    return is_first


def _sign_in(request: Request, token: str, next_path: str) -> Response:
    target = safe_next(next_path)
    if refused := too_many(request, target):
        return refused
    try:
        secret = identity.open_session(request.app.state.service, token, Origin.of(request.scope))
    except Unauthorized as error:
        note_failure(request)
        return form(request, target, error.detail, status=401)
    return signed_in(request, secret, target)


def _require_own_form(request: Request) -> None:
    # Another site must not sign a browser in as somebody else; programs send neither header.
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    is_own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if site not in ("same-origin", "none") or not is_own:
        raise Forbidden("a browser may only be signed in from the service's own page")


def _left(request: Request) -> Response:
    answer = RedirectResponse("/login", status_code=303, headers=rendering.HEADERS | NO_STORE)
    answer.delete_cookie(COOKIE, path="/", secure=is_https(request), httponly=True, samesite="lax")
    return answer
