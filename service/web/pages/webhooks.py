"""The pages of webhooks: whom the service tells of its studies, and how that goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import FieldError, Forbidden, InvalidRequest, NotFound, RequestError, field_errors
from caviar.contract.webhooks import NewSecret, NewWebhook, SecretShown, WebhookEdit, WebhookEvent
from service.outbound.sender import Sender
from service.use_cases import webhooks
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.rendering import HEADERS, page

router = APIRouter(include_in_schema=False)

EVENTS = {
    WebhookEvent.NEW_BEST: "a new best value",
    WebhookEvent.STUDY_DONE: "the end of a study",
    WebhookEvent.FAILURE_STORM: "many failures at once",
    WebhookEvent.STAGNATION: "no better value for long",
}
NUMBERS = {
    "best_every_s": ("Seconds between two best values of a study", float),
    "storm_failures": ("Failed trials that are many", int),
    "storm_within_s": ("Seconds within which they fail", float),
    "stagnant_trials": ("Trials without a better value", int),
    "stagnant_epochs": ("Epochs without a better value", int),
}
"""The rules that the form shows: what each counts, and how its number is read."""

_PAGE = 50
_SECRET_HEADERS = {"Cache-Control": "no-store"}
_Id = Annotated[int, Path(ge=1, lt=2**31)]
_After = Annotated[int | None, Query(ge=1, lt=2**31)]
_Text = Annotated[str, Field(max_length=4000)]
Did = Literal["", "pinged", "on", "off", "redelivered", "deleted"]


class WebhookForm(BaseModel):
    """What the form of a new webhook sends."""

    name: _Text = ""
    url: _Text = ""
    events: Annotated[list[_Text], Field(max_length=20)] = []
    studies: _Text = ""
    secret: _Text = ""
    best_every_s: _Text = ""
    storm_failures: _Text = ""
    storm_within_s: _Text = ""
    stagnant_trials: _Text = ""
    stagnant_epochs: _Text = ""


@router.get("/webhooks")
def show_webhooks(request: Request, did: Did = "") -> Response:
    """All webhooks, and the form that makes another one."""
    return _listed(service_of(request), did=did)


@router.post("/webhooks")
async def create(request: Request, form: Annotated[WebhookForm, Form()]) -> Response:
    """Make a webhook, then show its secret once."""
    service, sender = service_of(request), _sender(request)
    try:
        body = _body(form)
        await webhooks.check_address(service, sender, body.url)
        made = await service.submit(lambda tx: webhooks.create(tx, body))
    except Forbidden:
        raise
    except RequestError as error:
        return _listed(service, form=form, error=error)
    return _shown(service, made.webhook.webhook_id, made=made)


@router.get("/webhooks/{webhook_id}")
def show_webhook(request: Request, webhook_id: _Id, did: Did = "", after: _After = None) -> Response:
    """A webhook and its deliveries."""
    return _shown(service_of(request), webhook_id, did=did, after=after)


@router.post("/webhooks/{webhook_id}/ping")
def ping(request: Request, webhook_id: _Id) -> Response:
    """Send a message that tells nothing."""
    service = service_of(request)
    try:
        service.write(lambda tx: webhooks.ping(tx, service.announcer, webhook_id))
    except (NotFound, Forbidden):
        raise
    except RequestError as error:
        return _shown(service, webhook_id, refusal=error)
    return _go_to(f"/webhooks/{webhook_id}?did=pinged")


@router.post("/webhooks/{webhook_id}/{switch}")
def switch(request: Request, webhook_id: _Id, switch: Literal["on", "off"]) -> Response:
    """Turn a webhook on or off."""
    edit = WebhookEdit(is_active=switch == "on")
    service_of(request).write(lambda tx: webhooks.edit(tx, webhook_id, edit))
    return _go_to(f"/webhooks/{webhook_id}?did={switch}")


@router.post("/webhooks/{webhook_id}/secret/rotate")
def rotate(request: Request, webhook_id: _Id) -> Response:
    """Give a webhook another secret, then show it once."""
    service = service_of(request)
    made = service.write(lambda tx: webhooks.rotate(tx, webhook_id, NewSecret()))
    return _shown(service, webhook_id, made=made)


@router.post("/webhooks/{webhook_id}/all/delete")
def delete(request: Request, webhook_id: _Id) -> Response:
    """Delete a webhook with its deliveries."""
    service_of(request).write(lambda tx: webhooks.delete(tx, webhook_id))
    return _go_to("/webhooks?did=deleted")


@router.post("/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver")
def redeliver(request: Request, webhook_id: _Id, delivery_id: _Id) -> Response:
    """Send a message once more."""
    service_of(request).write(lambda tx: webhooks.redeliver(tx, webhook_id, delivery_id))
    return _go_to(f"/webhooks/{webhook_id}?did=redelivered#delivery-{delivery_id}")


def _sender(request: Request) -> Sender:
    sender: Sender = request.app.state.sender
    return sender


def _go_to(target: str) -> Response:
    return RedirectResponse(target, status_code=303, headers=HEADERS)


def _listed(
    service: Service, *, did: Did = "", form: WebhookForm | None = None, error: RequestError | None = None
) -> Response:
    with service.reading() as tx:
        found = webhooks.find(tx).items
    problems, refusal = _problems(error) if error else ({}, None)
    defaults = WebhookForm(events=[*EVENTS], **_numbers())
    return page(
        "webhooks.html",
        status=error.status if error else 200,
        webhooks=found,
        form=form or defaults,
        events=EVENTS,
        numbers={name: words for name, (words, _) in NUMBERS.items()},
        problems=problems,
        refusal=refusal,
        did=did,
        now=service.clock(),
    )


def _shown(
    service: Service,
    webhook_id: int,
    *,
    did: Did = "",
    after: int | None = None,
    made: SecretShown | None = None,
    refusal: RequestError | None = None,
) -> Response:
    with service.reading() as tx:
        webhook = webhooks.read(tx, webhook_id)
        found = webhooks.list_deliveries(tx, webhook_id, limit=_PAGE, after=after)
    return page(
        "webhook.html",
        status=refusal.status if refusal else 200,
        headers=_SECRET_HEADERS if made else None,
        webhook=webhook,
        deliveries=found.items,
        next_after=found.next_after,
        events=EVENTS,
        made=made,
        did=did,
        refusal=None if refusal is None else refusal.detail,
        now=service.clock(),
    )


def _numbers() -> dict[str, str]:
    defaults = NewWebhook.model_fields["rules"].default
    values = {name: getattr(defaults, name) for name in NUMBERS}
    return {name: "" if value is None else f"{value:g}" for name, value in values.items()}


def _body(form: WebhookForm) -> NewWebhook:
    errors: list[FieldError] = []
    body: dict[str, Any] = {
        "name": form.name.strip(),
        "url": form.url.strip(),
        "events": form.events,
        "studies": form.studies.replace(",", " ").split() or None,
        "secret": form.secret.strip() or None,
        "rules": _rules(form, errors),
    }
    if not errors:
        try:
            return NewWebhook.model_validate(body)
        except ValidationError as error:
            errors = field_errors(error, body)
    raise InvalidRequest(f"{len(errors)} field(s) were refused", errors=errors)


def _rules(form: WebhookForm, errors: list[FieldError]) -> Mapping[str, float | None]:
    found: dict[str, float | None] = {}
    for name, (_, read) in NUMBERS.items():
        text = str(getattr(form, name)).strip()
        if not text and name.startswith("stagnant_"):
            found[name] = None
        elif text:
            try:
                found[name] = read(text)
            except ValueError:
                errors.append(FieldError(field=name, received=text, expected="a number, such as 60"))
    return found


def _problems(error: RequestError) -> tuple[dict[str, str], str | None]:
    """What is to be said at each field, and what above the form."""
    known = set(WebhookForm.model_fields)
    problems: dict[str, str] = {}
    for entry in error.errors:
        steps = [step for step in entry.field.split(".") if step in known]
        if not steps:
            return {}, str(error)
        problems.setdefault(steps[-1], f"received {entry.received!r}, expected {entry.expected}")
    return problems, None if problems else error.detail
