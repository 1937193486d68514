"""Whole studies as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from caviar.contract.views import StudyView, TrialView
from service.api.dependencies import CurrentService, StudyName
from service.api.tables import CSV, DOWNLOADED, csv_lines
from service.use_cases import reading
from service.use_cases.service import Service

router = APIRouter(tags=["studies"])

_PORTION = 500
_COLUMNS = ("number", "trial_id", "state", "stop_reason", "value", "best_epoch", "num_epochs", "round", "origin")
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {"application/json": {"schema": {"type": "object"}}, CSV: {"schema": {"type": "string"}}},
        "headers": DOWNLOADED,
    }
}
_LATER_COLUMNS = ("attempt", "seed", "worker", "duration_s", "started_at", "ended_at")


@router.get("/studies/{name}/export", response_class=Response, responses=_FILE)
def export_study(
    service: CurrentService,
    name: StudyName,
    kind: Annotated[Literal["csv", "json"], Query(alias="format", description="Kind of file.")] = "json",
) -> StreamingResponse:
    """Download all trials: CSV with a column per parameter, or JSON with the study and every trial's curve."""
    with service.reading() as tx:
        study = reading.study(tx, name)
    headers = {"Content-Disposition": f'attachment; filename="{study.name}.{kind}"'}
    if kind == "csv":
        return StreamingResponse(_csv(service, study), media_type=CSV, headers=headers)
    return StreamingResponse(_json(service, study), media_type="application/json", headers=headers)


def _trials(service: Service, name: str) -> Iterator[TrialView]:
    after: int | None = None
    while True:
        with service.reading() as tx:
            page = reading.list_trials(tx, name, limit=_PORTION, after=after)
        yield from page.items
        if page.next_after is None:
            return
        after = page.next_after


def _csv(service: Service, study: StudyView) -> Iterator[str]:
    names = study.space.names
    yield csv_lines([[*_COLUMNS, *(f"params.{name}" for name in names), *_LATER_COLUMNS]])
    for trial in _trials(service, study.name):
        facts = trial.model_dump(mode="json")
        cells = [facts[column] for column in _COLUMNS]
        cells += [trial.params.get(name) for name in names]
        cells += [facts[column] for column in _LATER_COLUMNS]
        yield csv_lines([cells])


def _json(service: Service, study: StudyView) -> Iterator[str]:
    yield f'{{"study": {study.model_dump_json()}, "trials": ['
    separator = ""
    for trial in _trials(service, study.name):
        with service.reading() as tx:
            curve = reading.measurements(tx, trial.trial_id).model_dump(mode="json")["items"]
        yield separator + json.dumps({**trial.model_dump(mode="json"), "measurements": curve})
        separator = ", "
    yield "]}"
