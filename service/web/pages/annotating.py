"""Tags and notes of trials, from their pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import FieldError, InvalidRequest, field_errors
from caviar.contract.ranking import Annotation
from service.domain.principal import Right
from service.use_cases import access, annotating
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.pages import trial
from service.web.pages.parameters import TrialId
from service.web.rendering import HEADERS

router = APIRouter(include_in_schema=False)
_Text = Annotated[str, Form(max_length=20_000)]


@router.post("/trials/{trial_id}/annotate")
def annotate(request: Request, trial_id: TrialId, tags: _Text = "", note: _Text = "") -> Response:
    """Set the tags and the note of a trial, then show it."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.trial(tx, trial_id, Right.CONTROL)
    # Forms write the ends of lines as the protocol of the web has them.
    try:
        body = annotation(tags.replace("\r\n", "\n"), note.replace("\r\n", "\n").strip())
    except InvalidRequest as error:
        return trial.refused(service, trial_id, error, {"tags": tags, "note": note})
    service.write(lambda tx: annotating.annotate(tx, trial_id, body))
    return RedirectResponse(f"/trials/{trial_id}?did=annotated#notes", status_code=303, headers=HEADERS)


def annotation(tags: str, note: str) -> Annotation:
    """What the fields of a form say.

    Args:
        tags: A tag on each line or between commas, `name` or `name: text`.
        note: The note.
    Raises:
        InvalidRequest: They are too long or too many, or hold control characters (422).
    """
    found: dict[str, str] = {}
    for line in tags.replace(",", "\n").split("\n"):
        name, _, text = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if name in found:
            field = FieldError(field="tags", received=name, expected="each tag once")
            raise InvalidRequest(f"the tag {name!r} is given twice", errors=[field])
        found[name] = text
    body = {"tags": found, "note": note}
    try:
        return Annotation.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest("the tags or the note cannot be stored", errors=field_errors(error, body)) from None
