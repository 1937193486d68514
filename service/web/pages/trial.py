"""One trial: what it trained, how that went, why it ended, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import CaviarError, InvalidRequest, field_errors
from caviar.contract.study import CloneStudy
from caviar.contract.views import StudyView
from service.domain.principal import Right
from service.store.transaction import Transaction
from service.use_cases import access, controlling, neighbours, reading, repeating, snippets
from service.use_cases.service import Service
from service.web import formats
from service.web.acting import service_of
from service.web.pages.forms import Fields
from service.web.pages.parameters import Context, TrialId
from service.web.pictures.trial_curves import trial_picture
from service.web.rendering import HEADERS, page
from service.web.tables import attempts, board, configuration, evidence

MAX_MEASURED = 500
"""Measurements in the table, the newest of them; all are in the JSON."""

router = APIRouter(include_in_schema=False)
Did = Literal["", "retried", "stopped", "enqueued", "cloned", "annotated"]


@router.get("/trials/{trial_id}")
def show_trial(request: Request, trial_id: TrialId, did: Did = "", metric: str = "") -> Response:
    """One trial with all that is known of it."""
    return page("trial.html", **_trial(service_of(request), trial_id, metric), did=did, refusal=None, typed={})


@router.get("/trials/{trial_id}/fragments/trial")
def show_trial_fragment(request: Request, trial_id: TrialId, metric: str = "") -> Response:
    """The live part of a trial's page."""
    context = _trial(service_of(request), trial_id, metric)
    return page("fragments/trial.html", **context, did="", refusal=None, typed={})


@router.post("/trials/{trial_id}/stop")
def stop_trial(request: Request, trial_id: TrialId) -> Response:
    """Cancel a trial, then show it."""
    service: Service = service_of(request)
    service.write(lambda tx: controlling.stop_trial(tx, trial_id))
    return _go_to(trial_id, "stopped")


@router.post("/trials/{trial_id}/again")
def run_again(request: Request, trial_id: TrialId, typed: Fields) -> Response:
    """Have the configuration of a trial trained once more, then show the trial that does."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.trial(tx, trial_id, Right.CONTROL)
    try:
        name = _clone_name(typed)
        repeated = service.write(lambda tx: repeating.run_again(tx, trial_id, name))
    except CaviarError as error:
        if error.status in (403, 404):
            raise
        return refused(service, trial_id, error, typed)
    return _go_to(repeated.trial_id, ("cloned" if name else "enqueued") if repeated.is_new else "retried")


def refused(service: Service, trial_id: int, error: CaviarError, typed: Mapping[str, str]) -> Response:
    """The page of a trial with what was wrong with one of its forms, and what was typed there."""
    context = _trial(service, trial_id)
    return page("trial.html", status=error.status, **context, did="", refusal=error, typed=typed)


def _clone_name(typed: Mapping[str, str]) -> str:
    if "name" not in typed:
        return ""
    try:
        return CloneStudy.model_validate({"name": typed["name"].strip()}).name
    except ValidationError as error:
        errors = field_errors(error, dict(typed))
        detail = f"received the name {typed['name']!r}, expected {errors[0].expected}"
        raise InvalidRequest(detail, errors=errors) from None


def _go_to(trial_id: int, did: str) -> Response:
    return RedirectResponse(f"/trials/{trial_id}?did={did}", status_code=303, headers=HEADERS)


def _trial(service: Service, trial_id: int, metric: str = "") -> Context:
    with service.reading() as tx:
        return _read(tx, service, trial_id, metric)


def _read(tx: Transaction, service: Service, trial_id: int, metric: str) -> Context:
    detail = reading.trial(tx, trial_id)
    view = reading.study(tx, detail.study)
    reported = reading.measurements(tx, trial_id, is_current=False).items
    measured = reading.measurements(tx, trial_id).items
    names = list(dict.fromkeys(name for item in measured for name in item.metrics))
    names.sort(key=lambda name: (name != detail.metric.name, name))
    now = service.clock()
    last_epochs = attempts.last_epochs([(item.attempt, item.epoch) for item in reported])
    return {
        "trial": detail,
        "study": view,
        "place": neighbours.place(tx, trial_id, detail.metric.direction),
        "gap": _gap(detail.value, view),
        "cells": board.cells(view.space, detail.params),
        "picture": trial_picture(view, detail, reported, metric=metric),
        "measured": measured[-MAX_MEASURED:],
        "num_measured": len(measured),
        "metric_names": names,
        "is_best": view.best is not None and view.best.trial_id == trial_id,
        "stories": attempts.stories(detail, last_epochs, now),
        "decisions": attempts.decisions(detail),
        "grounds": evidence.grounds(detail.evidence, detail.metric),
        "texts": configuration.texts(detail.params) | {"Keras": snippets.of_trial(tx, detail)},
        "free_name": repeating.free_name(tx, view.name) if view.state.is_finished else "",
        "now": now,
    }


def _gap(value: float | None, view: StudyView) -> str:
    if value is None or view.best is None or value == view.best.value:
        return ""
    sign = "+" if value > view.best.value else "−"
    return f"{sign}{formats.number(abs(value - view.best.value), 3)}"
