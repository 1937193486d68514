"""Tokens and share links: making them, rotating and revoking them; and who one is."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Form, Path, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import CaviarError, InvalidRequest, field_errors
from caviar.contract.identity import DAY_S, MadeShare, MadeToken, NewShare, NewToken, Role, Rotation, Tokens
from caviar.contract.views import StudyView
from service.domain.principal import Right
from service.use_cases import access, issuing, reading
from service.use_cases.service import Service
from service.web.acting import actor_of, current, service_of
from service.web.pages.forms import Fields
from service.web.pages.parameters import StudyName
from service.web.rendering import HEADERS, page

OVERLAP_S = 3600
"""Seconds for which the old secret of a token stays valid when a person rotates it."""

LIFETIMES = {"1": "1 day", "7": "7 days", "30": "30 days", "90": "90 days", "365": "a year", "": "without end"}
"""Days that a token may last, as the form offers them."""

_NO_STORE = {"Cache-Control": "no-store"}

router = APIRouter(include_in_schema=False)

TokenId = Annotated[int, Path(ge=1, lt=2**31)]
Days = Annotated[str, Form(max_length=10)]
Label = Annotated[str, Form(max_length=1000)]
Body = TypeVar("Body", bound=BaseModel)


@router.get("/session")
def show_session(request: Request) -> Response:
    """Who the visitor is, what that allows, and a way to end it everywhere."""
    return page("session.html", who=issuing.who_am_i(actor_of(request)), now=service_of(request).clock())


@router.get("/tokens")
def show_tokens(request: Request) -> Response:
    """Tokens and share links, and for an administrator a form to make one."""
    return _tokens(service_of(request))


@router.post("/tokens")
def make_token(request: Request, typed: Fields) -> Response:
    """Make a token and show its secret, this once."""
    service: Service = service_of(request)
    with service.reading() as tx:
        issuing.require_admin(tx)
    scope = typed.get("scope", "").replace(",", " ").split()
    body = {"name": typed.get("name", "").strip(), "role": typed.get("role", ""), "scope": scope or None}
    try:
        new = _checked(NewToken, body | _lifetime(typed.get("days", "")))
    except InvalidRequest as error:
        return _tokens(service, typed=typed, refusal=error)
    return _tokens(service, made=service.write(lambda tx: issuing.create(tx, new)))


@router.post("/tokens/{token_id}/rotate")
def rotate_token(request: Request, token_id: TokenId) -> Response:
    """Give a token a new secret and show it, this once; the old one is valid for another hour."""
    service: Service = service_of(request)
    return _tokens(service, made=issuing.rotate(service, token_id, Rotation(overlap_s=OVERLAP_S)))


@router.post("/tokens/{token_id}/revoke")
def revoke_token(request: Request, token_id: TokenId, study: Label = "") -> Response:
    """Let a token or link in no more, then show those that are left: of one study, if it was revoked there."""
    service: Service = service_of(request)
    with service.reading() as tx:
        view = issuing.read(tx, token_id)
    issuing.revoke(service, token_id)
    is_of_study = bool(study) and view.scope == [study]
    return RedirectResponse(f"/studies/{study}/shares" if is_of_study else "/tokens", status_code=303, headers=HEADERS)


@router.get("/studies/{name}/shares")
def show_shares(request: Request, name: StudyName) -> Response:
    """The links that show a study, and a form to make one."""
    return _shares(request, name)


@router.post("/studies/{name}/shares")
def share(request: Request, name: StudyName, label: Label = "", days: Days = "7") -> Response:
    """Make a link that shows a study, and show it, this once."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.study(tx, name, Right.CONTROL)
    try:
        new = _checked(NewShare, {"name": label.strip() or None} | _lifetime(days or "7"))
    except InvalidRequest as error:
        return _shares(request, name, refusal=error)
    return _shares(request, name, made=service.write(lambda tx: issuing.share(tx, name, new)))


def _tokens(
    service: Service,
    *,
    made: MadeToken | None = None,
    typed: dict[str, str] | None = None,
    refusal: CaviarError | None = None,
) -> Response:
    with service.reading() as tx:
        found = issuing.listed(tx)
    return page(
        "tokens.html",
        status=refusal.status if refusal else 200,
        headers=_NO_STORE,
        tokens=_sorted(found),
        is_admin=current().is_over_all,
        roles=list(Role),
        lifetimes=LIFETIMES,
        made=made,
        typed=typed or {},
        refusal=refusal,
        now=service.clock(),
    )


def _shares(
    request: Request, name: str, *, made: MadeShare | None = None, refusal: CaviarError | None = None
) -> Response:
    service: Service = service_of(request)
    with service.reading() as tx:
        found = issuing.shares_of(tx, name)
        study: StudyView = reading.study(tx, name)
    address = f"{str(request.base_url).rstrip('/')}{made.path}" if made else ""
    return page(
        "shares.html",
        status=refusal.status if refusal else 200,
        headers=_NO_STORE,
        study=study,
        tokens=_sorted(found),
        lifetimes={days: words for days, words in LIFETIMES.items() if days},
        made=made,
        address=address,
        refusal=refusal,
        now=service.clock(),
    )


def _sorted(found: Tokens) -> list[Any]:
    # What lets somebody in comes first.
    return sorted(found.items, key=lambda token: (not token.is_valid, -token.token_id))


def _lifetime(days: str) -> dict[str, float | str | None]:
    return {"expires_in_s": float(days) * DAY_S if days.isdecimal() else days or None}


def _checked(model: type[Body], body: dict[str, Any]) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest("nothing was made", errors=field_errors(error, body)) from None
