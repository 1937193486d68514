"""The form that changes a live study: its limits, its priority and its tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from caviar.contract.errors import FieldError, Forbidden, InvalidRequest, NotFound, RequestError, field_errors
from caviar.contract.study import StudyEdit
from caviar.contract.views import StudyView
from service.domain.principal import Right
from service.use_cases import access, reading, submitting
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.notices import Done
from service.web.pages.actions import address_of, gone_to
from service.web.pages.parameters import StudyName
from service.web.rendering import page

router = APIRouter(include_in_schema=False)

_Text = Annotated[str, Field(max_length=200)]
_LongText = Annotated[str, Field(max_length=200_000)]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that the form shows.

    Attributes:
        name: Its name in the budget.
        label: What it limits.
        unit: What it counts.
        is_whole: Whether it is a whole number.
    """

    name: str
    label: str
    unit: str
    is_whole: bool = True


LIMITS = (
    Limit("max_trials", "Trials", "at most, imported ones aside"),
    Limit("max_epochs", "Epochs of a trial", "at most; needed"),
    Limit("max_total_epochs", "Epochs of all trials", "at most"),
    Limit("max_seconds", "Time of the study", "seconds since it was created, pauses included", is_whole=False),
    Limit("max_trial_seconds", "Time of a trial", "seconds of one attempt", is_whole=False),
    Limit("max_parallel", "Trials at a time", "at most"),
    Limit("max_stagnant_trials", "Trials without a gain", "in a row, after which the study ends"),
    Limit("target", "Target", "the value at which the study is done", is_whole=False),
)


class EditForm(BaseModel):
    """What is sent: each field as it is now and, as `was_…`, as it was when the form was shown.

    Only what was changed is set: somebody else may have changed the rest meanwhile.
    """

    max_trials: _Text = ""
    max_epochs: _Text = ""
    max_total_epochs: _Text = ""
    max_seconds: _Text = ""
    max_trial_seconds: _Text = ""
    max_parallel: _Text = ""
    max_stagnant_trials: _Text = ""
    target: _Text = ""
    priority: _Text = ""
    tags: _LongText = ""
    was_max_trials: _Text = ""
    was_max_epochs: _Text = ""
    was_max_total_epochs: _Text = ""
    was_max_seconds: _Text = ""
    was_max_trial_seconds: _Text = ""
    was_max_parallel: _Text = ""
    was_max_stagnant_trials: _Text = ""
    was_target: _Text = ""
    was_priority: _Text = ""
    was_tags: _LongText = ""

    def changed(self) -> dict[str, str]:
        """The fields that were changed, with their new texts."""
        texts = {name: str(value).replace("\r\n", "\n").strip() for name, value in self}
        return {
            name: text for name, text in texts.items() if not name.startswith("was_") and text != texts[f"was_{name}"]
        }


@router.get("/studies/{name}/edit")
def ask_to_edit(request: Request, name: StudyName) -> Response:
    """The form with what is in force."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.study(tx, name, Right.CONTROL)
        study = reading.study(tx, name)
    if study.state.is_finished:
        refusal = f"it has ended ({study.end_reason}), so there is nothing to edit; clone it instead"
        return page("refused.html", status=409, study=study, refusal=refusal)
    shown = texts_of(study)
    return page("edit.html", study=study, limits=LIMITS, texts=shown, was=shown, problems={}, refusal=None)


@router.post("/studies/{name}/edit")
def edit(request: Request, name: StudyName, form: Annotated[EditForm, Form()]) -> Response:
    """Change what was changed in the form."""
    service: Service = service_of(request)
    try:
        body = _body(form.changed())
        service.write(lambda tx: submitting.edit(tx, name, body))
    except (NotFound, Forbidden):
        raise
    except RequestError as error:
        with service.reading() as tx:
            study = reading.study(tx, name)
        sent = form.model_dump()
        problems, refusal = _problems(error)
        return page(
            "edit.html",
            status=error.status,
            study=study,
            limits=LIMITS,
            texts=sent,
            was={field: sent[f"was_{field}"] for field in texts_of(study)},
            problems=problems,
            refusal=refusal,
        )
    return gone_to(address_of(name), Done.EDITED)


def texts_of(study: StudyView) -> dict[str, str]:
    """What the fields of the form hold for a study."""
    limits = {limit.name: getattr(study.budget, limit.name) for limit in LIMITS}
    return {
        **{name: "" if value is None else _plain(value) for name, value in limits.items()},
        "priority": str(study.priority),
        "tags": "\n".join(f"{name}: {value}" for name, value in study.tags.items()),
    }


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(value)


def _body(changed: Mapping[str, str]) -> StudyEdit:
    body: dict[str, Any] = {}
    errors: list[FieldError] = []
    for limit in LIMITS:
        if limit.name in changed:
            value = _number(changed[limit.name], limit.name, errors, is_whole=limit.is_whole)
            body.setdefault("budget", {})[limit.name] = value
    if "priority" in changed:
        value = _number(changed["priority"], "priority", errors, is_whole=True)
        if value is None and not errors:
            errors.append(FieldError(field="priority", received="nothing", expected="a whole number; 0 is usual"))
        body["priority"] = value
    if "tags" in changed:
        body["tags"] = _tags(changed["tags"], errors)
    if not errors:
        try:
            return StudyEdit.model_validate(body)
        except ValidationError as error:
            errors = field_errors(error, body)
    raise InvalidRequest(f"{len(errors)} field(s) were refused", errors=errors)


def _number(text: str, field: str, errors: list[FieldError], *, is_whole: bool) -> float | int | None:
    if not text:
        return None
    try:
        return int(text) if is_whole else float(text)
    except ValueError:
        expected = "a whole number, such as 60" if is_whole else "a number, such as 0.05"
        errors.append(FieldError(field=field, received=text, expected=f"{expected}, or nothing for no limit"))
        return None


def _tags(text: str, errors: list[FieldError]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not name:
            errors.append(FieldError(field="tags", received=line, expected="a line such as `owner: ann` for each tag"))
        elif name in found:
            errors.append(FieldError(field="tags", received=line, expected=f"the tag {name!r} only once"))
        else:
            found[name] = value
    return found


def _problems(error: RequestError) -> tuple[dict[str, str], str | None]:
    """What is to be said at each field, and what above the form."""
    known = set(EditForm.model_fields)
    problems: dict[str, str] = {}
    for entry in error.errors:
        steps = [step for step in entry.field.split(".") if step in known]
        if not steps:
            return {}, str(error)
        problems.setdefault(steps[0], f"received {entry.received!r}, expected {entry.expected}")
    return problems, None if problems else error.detail
