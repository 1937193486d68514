"""The form that trains a trial's configuration with edits."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import CaviarError
from service.domain.principal import Right
from service.store.transaction import Transaction
from service.use_cases import access, reading, submitting
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.pages.forms import Fields
from service.web.pages.parameters import Context, TrialId
from service.web.rendering import HEADERS, page
from service.web.tables import configuration

router = APIRouter(include_in_schema=False)


@router.get("/trials/{trial_id}/clone")
def show_form(request: Request, trial_id: TrialId) -> Response:
    """The configuration of a trial, to be changed."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.trial(tx, trial_id, Right.CONTROL)
        return page("trial_edit.html", **_form(tx, service, trial_id), refusal=None)


@router.post("/trials/{trial_id}/clone")
def enqueue(request: Request, trial_id: TrialId, typed: Fields) -> Response:
    """Enqueue the configuration of the form, then show its trial; or show the form with what is wrong."""
    service: Service = service_of(request)

    def operation(tx: Transaction) -> int:
        access.trial(tx, trial_id, Right.CONTROL)
        view = reading.study(tx, reading.trial(tx, trial_id).study)
        return submitting.enqueue(tx, view.name, configuration.read(view.space, typed))

    try:
        made = service.write(operation)
    except CaviarError as error:
        if error.status in (403, 404):
            raise
        with service.reading() as tx:
            context = _form(tx, service, trial_id) | _refused(tx, trial_id, typed, error)
        return page("trial_edit.html", status=error.status, **context, refusal=error)
    return RedirectResponse(f"/trials/{made}?did=enqueued", status_code=303, headers=HEADERS)


def _form(tx: Transaction, service: Service, trial_id: int) -> Context:
    detail = reading.trial(tx, trial_id)
    view = reading.study(tx, detail.study)
    typed = configuration.prefilled(view.space, detail.params)
    fields = configuration.fields(view.space, typed)
    return {"trial": detail, "study": view, "fields": fields, "now": service.clock()}


def _refused(tx: Transaction, trial_id: int, typed: dict[str, str], error: CaviarError) -> Context:
    view = reading.study(tx, reading.trial(tx, trial_id).study)
    return {"fields": configuration.fields(view.space, typed, error.errors)}
