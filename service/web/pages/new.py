"""A new study: the form, its preview, and its submission."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import FieldError, InvalidRequest, StudyExists, TooLarge
from service.domain.principal import Right
from service.use_cases import access, drafting, reading, submitting
from service.use_cases.service import Service
from service.web.acting import FORM_FIELD, service_of
from service.web.forms import starting, texts
from service.web.forms.draft import COLUMNS, MAX_PASTED, PLUGINS, Draft, from_pairs
from service.web.forms.fields import PASTED
from service.web.forms.offers import options_of
from service.web.forms.places import Problem, place
from service.web.forms.plugins import kinds, unknown_options
from service.web.forms.previewing import Look, look, refused
from service.web.forms.reading import read
from service.web.pages.parameters import Context
from service.web.rendering import HEADERS, page

FIRST_OBJECTIVE = "mlp"
MAX_FORM_BYTES = 2**20
MAX_INPUTS = 6000
_FORM = "application/x-www-form-urlencoded"

router = APIRouter(include_in_schema=False)


async def _draft(request: Request) -> Draft:
    """The form that came, refused before it is read if it is larger than a person fills in."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != _FORM:
        raise InvalidRequest(f"received a body of type {media_type!r}, expected a form ({_FORM})")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise TooLarge(f"received a form of more than {MAX_FORM_BYTES:,} bytes; submit it with `caviar submit`")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_INPUTS)
    except UnicodeDecodeError:
        raise InvalidRequest("received a form that is no UTF-8 text; reload the page and try again") from None
    except ValueError:
        raise TooLarge(f"received more than {MAX_INPUTS} inputs; submit the study with `caviar submit`") from None
    return from_pairs((name, text) for name, text in pairs if name != FORM_FIELD)


CurrentDraft = Annotated[Draft, Depends(_draft)]


@router.get("/new")
def show_form(
    request: Request,
    objective: Annotated[str, Query(max_length=64)] = FIRST_OBJECTIVE,
    source: Annotated[str, Query(alias="from", max_length=64)] = "",
) -> Response:
    """The form, filled in for a first study of an objective, or from another study."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.check(tx, Right.CONTROL)
        draft = starting.from_study(tx, source) if source else starting.from_objective(tx, objective)
    return _page(service, draft, look(service, draft), source=source)


@router.post("/new/preview")
def show_preview(request: Request, draft: CurrentDraft) -> Response:
    """What the study of a form would do, and what is wrong with it."""
    shown = look(service_of(request), draft)
    return page("fragments/new_preview.html", look=shown, draft=draft)


@router.post("/new")
def submit(request: Request, draft: CurrentDraft) -> Response:
    """Create the study, or do what else the pressed button says and show the form again."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.check(tx, Right.CONTROL)
    if draft.act == "create":
        return _create(service, draft)
    if draft.act == "paste":
        return _paste(service, draft)
    if draft.act in ("objective", "defaults"):
        follow = starting.change_objective if draft.act == "objective" else starting.use_default_space
        with service.reading() as tx:
            follow(tx, draft)
    elif draft.act not in ("", "preview") and not draft.edit():
        error = FieldError(field="do", received=draft.act, expected="create, preview, or the name of another button")
        raise InvalidRequest("the form has no such button; reload the page", errors=[error])
    return _page(service, draft, look(service, draft))


def _create(service: Service, draft: Draft) -> Response:
    found = read(draft)
    if found.spec is not None:
        spec = found.spec
        with service.reading() as tx:
            default_space = submitting.offered_objectives(tx).get(spec.objective.name)
        # As the study is written in the preview, so that the same study from a file is the same one.
        spec = type(spec).model_validate(texts.minimal(spec, default_space))
        try:
            study, _ = service.write(lambda tx: submitting.create(tx, spec))
        except StudyExists as error:
            taken = Problem("name", "another name", words=error.detail)
            return _page(service, draft, refused([taken]), status=409)
        except InvalidRequest as error:
            found.refuse(draft, error.errors)
        else:
            address = f"/studies/{quote(study.name, safe='')}"
            return RedirectResponse(address, status_code=303, headers=HEADERS)
    return _page(service, draft, refused(found.problems), status=422)


def _paste(service: Service, draft: Draft) -> Response:
    try:
        with service.reading() as tx:
            pasted = starting.from_text(tx, draft.text(PASTED))
    except InvalidRequest as error:
        told = [f"{entry.field or 'the study'}: {place(Draft(), entry).sentence}" for entry in error.errors]
        problems = [Problem(PASTED, "", words=words) for words in told or [error.detail]]
        return _page(service, draft, refused(problems), status=422)
    return _page(service, pasted, look(service, pasted))


def _page(service: Service, draft: Draft, shown: Look, *, status: int = 200, source: str = "") -> Response:
    with service.reading() as tx:
        objectives = reading.objectives(tx, submitting.offered_objectives(tx)).items
        sources = drafting.recent_names(tx)
    context: Context = {
        "draft": draft,
        "look": shown,
        "is_refused": status >= 400,
        "source": source,
        "sources": sources,
        "objectives": objectives,
        "offered": next((entry for entry in objectives if entry.name == draft.text("objective.name")), None),
        "known": options_of(draft.text("objective.name")),
        "kinds": {plugin: kinds(plugin) for plugin in PLUGINS},
        "unknown": {plugin: unknown_options(draft, plugin) for plugin in PLUGINS},
        "columns": COLUMNS,
        "max_pasted": MAX_PASTED,
    }
    return page("new.html", status=status, **context)
