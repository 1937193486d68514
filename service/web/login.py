"""Signing in and out in a browser: an access token, or the secret of a link, is exchanged for a session cookie."""

from __future__ import annotations

import math
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import Forbidden, NotFound, Unauthorized
from service.domain.attempts import Attempts
from service.domain.principal import Origin
from service.use_cases import identity
from service.use_cases.service import Service
from service.web import rendering
from service.web.acting import service_of

COOKIE = "caviar_session"
_MAX_TOKEN_CHARACTERS = 1000
_NO_STORE = {"Cache-Control": "no-store"}
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
    return "/" if urlsplit(target).path in ("/login", "/logout") else target


@router.get("/login")
def show(
    request: Request,
    token: Annotated[str, Query(max_length=_MAX_TOKEN_CHARACTERS)] = "",
    next_path: Annotated[str, Query(alias="next", max_length=2000)] = "/",
) -> Response:
    """The form; with a token in the address, sign in at once."""
    if token:
        return _sign_in(request, token, next_path)
    return _form(safe_next(next_path))


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
        _note_failure(request)
        raise NotFound("this link is not valid any more; ask whoever sent it for a new one")
    target = f"/studies/{name}"
    current = identity.session_of(service, request.cookies.get(COOKIE, ""))
    if current is not None and current.sees(name):
        return RedirectResponse(target, status_code=303, headers=rendering.HEADERS | _NO_STORE)
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


def signed_in(request: Request, secret: str, target: str) -> Response:
    """The answer that hands a session to a browser, in place of the one that it had.

    Args:
        request: Of the browser.
        secret: Of the session.
        target: Where to go then.
    """
    if old := request.cookies.get(COOKIE):
        identity.drop_session(request.app.state.service, old)
    answer = RedirectResponse(target, status_code=303, headers=rendering.HEADERS | _NO_STORE)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=identity.SESSION_DAYS * 86400,
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )
    return answer


def is_https(request: Request) -> bool:
    """Whether the browser talks to us, or to a proxy of ours, by TLS."""
    return request.url.scheme == "https"


def _form(target: str, refusal: str = "", *, status: int = 200) -> Response:
    return rendering.page("login.html", status=status, headers=_NO_STORE, next_path=target, refusal=refusal)


def _sign_in(request: Request, token: str, next_path: str) -> Response:
    target = safe_next(next_path)
    attempts: Attempts = request.app.state.sign_ins
    origin = Origin.of(request.scope)
    address = origin.address or ""
    if wait_s := attempts.wait_s(address):
        told = f"There were too many attempts in vain; try again in {math.ceil(wait_s)} seconds."
        answer = _form(target, told, status=429)
        answer.headers["Retry-After"] = str(math.ceil(wait_s))
        return answer
    try:
        secret = identity.open_session(request.app.state.service, token, origin)
    except Unauthorized as error:
        attempts.fail(address)
        return _form(target, error.detail, status=401)
    return signed_in(request, secret, target)


def _note_failure(request: Request) -> None:
    # Whoever tries again and again is not written down each time.
    attempts: Attempts = request.app.state.sign_ins
    origin = Origin.of(request.scope)
    if not attempts.wait_s(origin.address or ""):
        attempts.fail(origin.address or "")
        identity.refuse_link(request.app.state.service, origin)


def _require_own_form(request: Request) -> None:
    # Another site must not sign a browser in as somebody else; programs send neither header.
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    is_own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if site not in ("same-origin", "none") or not is_own:
        raise Forbidden("a browser may only be signed in from the service's own page")


def _left(request: Request) -> Response:
    answer = RedirectResponse("/login", status_code=303, headers=rendering.HEADERS | _NO_STORE)
    answer.delete_cookie(COOKIE, path="/", secure=is_https(request), httponly=True, samesite="lax")
    return answer
