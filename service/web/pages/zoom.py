"""The zoom map of a study, and the next round by hand."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import CaviarError, InvalidRequest, StateConflict
from caviar.contract.study import OpenRound
from caviar.contract.views import RoundView
from service.domain.principal import Right
from service.search.samplers.coarse_to_fine import CoarseToFineSampler
from service.store.transaction import Transaction
from service.use_cases import access, reading, steering
from service.use_cases.service import Service
from service.use_cases.zooming import zoom
from service.web.acting import FORM_FIELD, rights_of, service_of
from service.web.forms import rounds as round_form
from service.web.forms.rounds import Typed
from service.web.pages.parameters import Context, StudyName
from service.web.pictures.zoom import GRADE_WORDS, newest_windows, table_rows, zoom_map
from service.web.rendering import HEADERS, page

_MAX_EARLIER = 8
_MAX_FIELDS = 3000

router = APIRouter(include_in_schema=False)


@router.get("/studies/{name}/zoom")
def show_zoom(request: Request, name: StudyName) -> Response:
    """What each round draws from, and where the trials lie."""
    return page("zoom.html", **_zoom(service_of(request), name))


@router.get("/studies/{name}/fragments/zoom")
def show_zoom_fragment(request: Request, name: StudyName) -> Response:
    """The live part of the zoom map."""
    return page("fragments/zoom.html", **_zoom(service_of(request), name))


@router.get("/studies/{name}/rounds")
def leave_rounds(name: StudyName) -> Response:
    """The address of the form, opened without one: back to the zoom map."""
    return RedirectResponse(f"/studies/{name}/zoom", status_code=303, headers=HEADERS)


@router.post("/studies/{name}/rounds")
async def open_round(request: Request, name: StudyName) -> Response:
    """Open the next round with the windows of the form, or show it again with what is wrong."""
    service: Service = service_of(request)
    async with request.form(max_files=0, max_fields=_MAX_FIELDS) as sent:
        typed = {key: value for key, value in sent.items() if isinstance(value, str) and key != FORM_FIELD}
    try:
        body = await asyncio.to_thread(_body, service, name, typed)
        await steering.open_by_hand(service, name, body)
    except (InvalidRequest, StateConflict) as refused:
        context = await asyncio.to_thread(_zoom, service, name, typed, refused)
        return page("zoom.html", status=refused.status, headers={"Cache-Control": "no-store"}, **context)
    return RedirectResponse(f"/studies/{name}/zoom", status_code=303, headers=HEADERS)


def _body(service: Service, name: str, typed: Typed) -> OpenRound:
    with service.reading() as tx:
        access.study(tx, name, Right.CONTROL)
        view = reading.study(tx, name)
        return round_form.body(view.space, _rounds(tx, name), typed)


def _rounds(tx: Transaction, name: str) -> list[RoundView]:
    return reading.rounds(tx, name).items


def _zoom(service: Service, name: str, typed: Typed | None = None, refused: CaviarError | None = None) -> Context:
    with service.reading() as tx:
        found = zoom(tx, name)
    view, rounds = found.study, found.rounds
    works_in_rounds = bool(rounds) or view.strategy.kind == CoarseToFineSampler.kind
    can_steer = works_in_rounds and not view.state.is_finished and Right.CONTROL in rights_of(service)
    errors = refused.errors if refused else ()
    earlier = rounds[-2 : -_MAX_EARLIER - 2 : -1]
    return {
        "study": view,
        "points": found.points,
        "picture": zoom_map(found),
        "grade_words": GRADE_WORDS,
        "works_in_rounds": works_in_rounds,
        "can_steer": can_steer,
        "form": {row.name: row for row in round_form.rows(view.space, rounds, typed or {}, errors)}
        if can_steer
        else {},
        "refused": refused,
        "newest": rounds[-1] if rounds else None,
        "next_number": len(rounds),
        "windows": table_rows(view.space, newest_windows(view.space, rounds)) if rounds else [],
        "earlier": [(entry, table_rows(view.space, newest_windows(view.space, [entry]))) for entry in earlier],
        "num_rounds": len(rounds),
        "now": service.clock(),
    }
