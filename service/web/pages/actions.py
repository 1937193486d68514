"""What can be done with a study: pause, resume, stop, clone, delete; what takes something away asks first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from fastapi import APIRouter, Form, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import FieldError, InvalidRequest, RequestError, field_errors
from caviar.contract.study import CloneStudy
from caviar.contract.views import StudyView
from service.domain.principal import Right
from service.domain.study_query import StudyQuery
from service.store.transaction import Transaction
from service.use_cases import access, archiving, controlling, naming, reading, submitting
from service.use_cases.service import Service
from service.web import rendering
from service.web.acting import service_of
from service.web.notices import Done
from service.web.pages.parameters import StudyName
from service.web.rendering import page
from service.web.tables import listing

router = APIRouter(include_in_schema=False)

Back = Annotated[str, Form(max_length=2000)]
Typed = Annotated[str, Form(max_length=1000)]


@router.post("/studies/{name}/pause")
def pause(request: Request, name: StudyName, back: Back = "") -> Response:
    """Hand out no more trials."""
    return _switch(service_of(request), name, controlling.pause, Done.PAUSED, back)


@router.post("/studies/{name}/resume")
def resume(request: Request, name: StudyName, back: Back = "") -> Response:
    """Hand out trials again."""
    return _switch(service_of(request), name, controlling.resume, Done.RESUMED, back)


@router.post("/studies/{name}/archive")
def archive(request: Request, name: StudyName, back: Back = "") -> Response:
    """Keep an ended study out of the list."""
    return _switch(service_of(request), name, archiving.archive, Done.ARCHIVED, back)


@router.post("/studies/{name}/unarchive")
def unarchive(request: Request, name: StudyName, back: Back = "") -> Response:
    """Take a study out of the archive."""
    return _switch(service_of(request), name, archiving.unarchive, Done.UNARCHIVED, back)


@router.get("/studies/{name}/stop")
def ask_to_stop(request: Request, name: StudyName) -> Response:
    """Say what stopping loses, and ask."""
    return page("stop.html", study=_study(service_of(request), name))


@router.post("/studies/{name}/stop")
def stop(request: Request, name: StudyName) -> Response:
    """End a study."""
    return _switch(service_of(request), name, controlling.stop, Done.STOPPED, "")


@router.get("/studies/{name}/clone")
def ask_to_clone(request: Request, name: StudyName) -> Response:
    """Ask for the name of the new study."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.study(tx, name, Right.CONTROL)
        study = reading.study(tx, name)
        suggested = naming.free_name(tx, name)
    return page("clone.html", study=study, typed=suggested, problem="", refusal=None)


@router.post("/studies/{name}/clone")
def clone(request: Request, name: StudyName, new_name: Typed = "") -> Response:
    """Start the study afresh under another name."""
    service: Service = service_of(request)
    typed = new_name.strip()
    try:
        checked = _clone_body(typed)
        study = service.write(lambda tx: submitting.clone(tx, name, checked.name))
    except RequestError as error:
        # A study that is not there has no form to come back to.
        view = _study(service, name)
        problem, refusal = problem_at("name", error)
        status = error.status
        return page("clone.html", status=status, study=view, typed=typed, problem=problem, refusal=refusal)
    return gone_to(address_of(study.name), Done.CLONED)


@router.get("/studies/{name}/delete")
def ask_to_delete(request: Request, name: StudyName) -> Response:
    """Say what deleting loses, and ask for the study's name."""
    return page("delete.html", study=_study(service_of(request), name), typed="", problem="")


@router.post("/studies/{name}/delete")
def delete(request: Request, name: StudyName, confirmed: Typed = "") -> Response:
    """Delete a study whose name was typed once more."""
    service: Service = service_of(request)
    typed = confirmed.strip()
    if typed != name:
        problem = f"received {typed!r}, expected {name!r}" if typed else f"expected {name!r}, received nothing"
        return page("delete.html", status=422, study=_study(service, name), typed=typed, problem=problem)
    study_id = service.write(lambda tx: controlling.delete(tx, name))
    service.forget(study_id)
    return gone_to("/", Done.DELETED)


def address_of(name: str) -> str:
    """The path of a study's page."""
    return f"/studies/{quote(name, safe='')}"


def gone_to(target: str, done: Done, **told: str) -> Response:
    """Lead to a page that says what was done.

    Args:
        target: Its address.
        done: What.
        told: Further parameters of the address.
    """
    joined = f"{target}{'&' if '?' in target else '?'}{urlencode({'done': done.value, **told})}"
    return RedirectResponse(joined, status_code=303, headers=rendering.HEADERS)


def problem_at(field: str, error: RequestError) -> tuple[str, str | None]:
    """What is to be said at a field, and what above the form, because it is the matter of no field of it."""
    said = [f"received {_quoted(entry.received)}, expected {entry.expected}" for entry in error.errors]
    if said and all(entry.field == field for entry in error.errors):
        return "; ".join(said), None
    return ("", "; ".join([error.detail, *said])) if error.code != "study_exists" else (error.detail, None)


def _quoted(received: object) -> str:
    return repr(received) if isinstance(received, str) and received != "nothing" else str(received)


def _switch(
    service: Service, name: str, change: Callable[[Transaction, str], StudyView], done: Done, back: str
) -> Response:
    target, told = _way_back(back, name)
    try:
        service.write(lambda tx: change(tx, name))
    except RequestError as error:
        return page("refused.html", status=error.status, study=_study(service, name), refusal=error.detail)
    return gone_to(target, done, **told)


def _study(service: Service, name: str) -> StudyView:
    with service.reading() as tx:
        access.study(tx, name, Right.CONTROL)
        return reading.study(tx, name)


def _clone_body(name: str) -> CloneStudy:
    body = {"name": name}
    try:
        return CloneStudy.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest("the name cannot be used", errors=field_errors(error, body)) from None


def _way_back(back: str, name: str) -> tuple[str, dict[str, str]]:
    """Where to go after a change, and what its address is to tell besides: the list, or one of the study's pages.

    Raises:
        InvalidRequest: It is another address (422).
    """
    own = address_of(name)
    if not back or back in [own + ending for ending in rendering.STUDY_VIEWS.values()]:
        return back or own, {}
    parts = urlsplit(back)
    if (parts.scheme, parts.netloc, parts.path) == ("", "", "/"):
        try:
            asked = parse_qs(parts.query)
            single = {field: values if field == "state" else values[-1] for field, values in asked.items()}
            return listing.address(StudyQuery.model_validate(single)), {"about": name}
        except ValidationError as error:
            raise InvalidRequest("the page to go back to is none", errors=field_errors(error, single)) from None
    field = FieldError(field="back", received=back, expected=f"`/`, `{own}`, or one of its views")
    raise InvalidRequest("the page to go back to is none", errors=[field])
