"""Signing in through an identity provider: out to it, and back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import CaviarError, Forbidden, NotFound, Unavailable
from service.domain.principal import Origin
from service.use_cases import identity, vouching
from service.web import login, rendering

_COOKIE = "caviar_sign_in"
_PATH = "/login/oidc"
CALLBACK = f"{_PATH}/callback"
"""Where the provider sends browsers back to."""

_MAX_CHARACTERS = 4096
_RETRY_AFTER_S = 5

router = APIRouter(include_in_schema=False)


@router.get(_PATH)
def leave_for_provider(
    request: Request, next_path: Annotated[str, Query(alias="next", max_length=2000)] = "/"
) -> Response:
    """Send a browser to the identity provider."""
    sign_on, target = _required(request), login.safe_next(next_path)
    if refused := login.too_many(request, target):
        return refused
    try:
        address, kept = vouching.begin(request.app.state.service, sign_on, target)
    except Unavailable as error:
        return _told(request, error, target)
    answer = RedirectResponse(address, status_code=303, headers=rendering.HEADERS | login.NO_STORE)
    answer.set_cookie(
        _COOKIE,
        kept,
        max_age=int(vouching.PATIENCE.total_seconds()),
        path=_PATH,
        secure=login.is_https(request),
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get(CALLBACK)
def return_from_provider(
    request: Request,
    code: Annotated[str, Query(max_length=_MAX_CHARACTERS)] = "",
    state: Annotated[str, Query(max_length=_MAX_CHARACTERS)] = "",
    error: Annotated[str, Query(max_length=_MAX_CHARACTERS)] = "",
) -> Response:
    """Sign in whoever comes back from the identity provider."""
    sign_on = _required(request)
    if refused := login.too_many(request, "/"):
        return refused
    service, origin = request.app.state.service, Origin.of(request.scope)
    reply = vouching.Reply(state, code, error)
    kept = request.cookies.get(_COOKIE, "")
    try:
        secret, target = vouching.complete(service, sign_on, kept, reply, origin)
    except Forbidden as refusal:
        login.note_failure(request)
        identity.refuse(service, origin, refusal.detail)
        answer = _told(request, refusal, "/")
    except Unavailable as outage:
        answer = _told(request, outage, "/")
    else:
        answer = login.signed_in(request, secret, target, lasts=sign_on.lasts)
    # A sign-in can be ended once.
    answer.delete_cookie(_COOKIE, path=_PATH, secure=login.is_https(request), httponly=True, samesite="lax")
    return answer


def _required(request: Request) -> vouching.SignOn:
    sign_on: vouching.SignOn | None = request.app.state.sign_on
    if sign_on is None:
        raise NotFound("no identity provider is set up here; sign in with an access token")
    return sign_on


def _told(request: Request, error: CaviarError, target: str) -> Response:
    answer = login.form(request, target, outage=error.detail, status=error.status)
    if isinstance(error, Unavailable):
        answer.headers["Retry-After"] = str(_RETRY_AFTER_S)
    return answer
