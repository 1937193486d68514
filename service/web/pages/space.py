"""The ranges of a study's search space, to be widened or narrowed while it runs."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import CaviarError, InvalidRequest, StateConflict
from caviar.contract.space import Space
from caviar.contract.study import StudyEdit
from service.domain.principal import Right
from service.use_cases import access, reading, submitting
from service.use_cases.service import Service
from service.use_cases.spaces import Fit, fit
from service.web.acting import FORM_FIELD, service_of
from service.web.forms import spaces as space_form
from service.web.forms.rounds import Typed
from service.web.pages.parameters import Context, StudyName
from service.web.rendering import HEADERS, page

_MAX_FIELDS = 1000

router = APIRouter(include_in_schema=False)

ParameterName = Annotated[str, Query(max_length=64)]
WhichEnd = Annotated[str, Query(pattern="^(lower|upper|)$")]


@router.get("/studies/{name}/space")
def show_space(request: Request, name: StudyName, parameter: ParameterName = "", end: WhichEnd = "") -> Response:
    """The ranges in force; with a parameter and one of its ends, that one suggested wider."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.study(tx, name, Right.CONTROL)
        space = reading.study(tx, name).space
    typed = space_form.suggestion(space, parameter, end)
    return page("space.html", **_space(service, name, typed, checked=space_form.new_space(space, typed)))


@router.post("/studies/{name}/space")
async def change_space(request: Request, name: StudyName) -> Response:
    """Put other ranges into force, or with `check` only tell how many trials would fit them."""
    service: Service = service_of(request)
    async with request.form(max_files=0, max_fields=_MAX_FIELDS) as sent:
        typed = {key: value for key, value in sent.items() if isinstance(value, str) and key != FORM_FIELD}
    return await asyncio.to_thread(_change, service, name, typed)


def _change(service: Service, name: str, typed: Typed) -> Response:
    try:
        with service.reading() as tx:
            access.study(tx, name, Right.CONTROL)
            space = space_form.new_space(reading.study(tx, name).space, typed)
        if "check" in typed:
            return page("space.html", **_space(service, name, typed, checked=space))
        service.write(lambda tx: submitting.edit(tx, name, StudyEdit(space=space)))
    except (InvalidRequest, StateConflict) as refused:
        context = _space(service, name, typed, refused=refused)
        return page("space.html", status=refused.status, headers={"Cache-Control": "no-store"}, **context)
    return RedirectResponse(f"/studies/{name}/space", status_code=303, headers=HEADERS)


def _space(
    service: Service, name: str, typed: Typed, *, checked: Space | None = None, refused: CaviarError | None = None
) -> Context:
    with service.reading() as tx:
        view = reading.study(tx, name)
        now_fit = fit(tx, name, view.space)
        then_fit: Fit | None = None if checked is None or checked == view.space else fit(tx, name, checked)
    return {
        "study": view,
        "lines": space_form.lines(view.space, typed, refused.errors if refused else ()),
        "refused": refused,
        "now_fit": now_fit,
        "then_fit": then_fit,
        "now": service.clock(),
    }
