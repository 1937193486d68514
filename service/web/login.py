"""Signing in and out in a browser: an access token is exchanged for a session cookie."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import Unauthorized
from service.use_cases import identity
from service.web import rendering

COOKIE = "caviar_session"
_MAX_TOKEN_CHARACTERS = 1000
_NO_STORE = {"Cache-Control": "no-store"}

router = APIRouter(include_in_schema=False)


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
    return rendering.page("login.html", headers=_NO_STORE, next_path=safe_next(next_path), refusal="")


@router.post("/login")
def submit(
    request: Request,
    token: Annotated[str, Form(max_length=_MAX_TOKEN_CHARACTERS)] = "",
    next_path: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Sign in with the token of the form."""
    return _sign_in(request, token.strip(), next_path)


@router.post("/logout")
def leave(request: Request) -> Response:
    """End the session and go to the form."""
    if secret := request.cookies.get(COOKIE):
        identity.close_session(request.app.state.service, secret)
    answer = RedirectResponse("/login", status_code=303, headers=rendering.HEADERS | _NO_STORE)
    answer.delete_cookie(COOKIE, path="/", secure=_is_https(request), httponly=True, samesite="lax")
    return answer


def _sign_in(request: Request, token: str, next_path: str) -> Response:
    target = safe_next(next_path)
    try:
        secret = identity.open_session(request.app.state.service, token)
    except Unauthorized as refused:
        headers = _NO_STORE
        return rendering.page("login.html", status=401, headers=headers, next_path=target, refusal=refused.detail)
    answer = RedirectResponse(target, status_code=303, headers=rendering.HEADERS | _NO_STORE)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=identity.SESSION_DAYS * 86400,
        path="/",
        secure=_is_https(request),
        httponly=True,
        samesite="lax",
    )
    return answer


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https"
