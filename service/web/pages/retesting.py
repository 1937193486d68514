"""Training the best configurations of a study again, from its page."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import CaviarError, InvalidRequest, StateConflict, field_errors
from caviar.contract.ranking import Retest
from service.domain.board_query import BoardQuery
from service.domain.principal import Right
from service.use_cases import access, retesting
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.pages.parameters import StudyName
from service.web.pages.study import study_context
from service.web.rendering import HEADERS, page

router = APIRouter(include_in_schema=False)
_Text = Annotated[str, Form(max_length=100)]


@router.post("/studies/{name}/retest")
def retest(request: Request, name: StudyName, top: _Text = "", repeats: _Text = "") -> Response:
    """Enqueue the best configurations again, then show the study; a refusal is shown at the form."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.study(tx, name, Right.CONTROL)
    given = {"top": top.strip(), "repeats": repeats.strip()}
    try:
        body = _retest(given)
        service.write(lambda tx: retesting.retest(tx, name, body))
    except (InvalidRequest, StateConflict) as refused:
        shown = study_context(service, name, BoardQuery()) | {"retest": given | {"problem": _sentence(refused)}}
        return page("study.html", status=refused.status, **shown)
    return RedirectResponse(f"/studies/{quote(name, safe='')}#leaderboard", status_code=303, headers=HEADERS)


def _retest(given: dict[str, str]) -> Retest:
    body: dict[str, Any] = {name: int(text) if text.isdecimal() else text for name, text in given.items()}
    try:
        return Retest.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest("Nothing was enqueued", errors=field_errors(error, body)) from None


def _sentence(refused: CaviarError) -> str:
    told = [f"{error.field}: received {error.received!r}, expected {error.expected}" for error in refused.errors]
    return "; ".join([refused.detail, *told])
