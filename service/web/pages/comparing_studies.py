"""A few studies side by side: their best values over time, their distributions, and what differs in their set-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from caviar.contract.catalogue import ComparedStudy, SetupDifference
from caviar.contract.space import Params, Space
from caviar.contract.views import StudyView
from service.use_cases import comparing, overview
from service.use_cases.service import Service
from service.web import formats
from service.web.acting import service_of
from service.web.pages.parameters import Context
from service.web.pictures import study_overlay
from service.web.rendering import page
from service.web.tables import board

router = APIRouter(include_in_schema=False)


class Across(StrEnum):
    """What the histories are drawn over."""

    EPOCHS = "epochs"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A parameter of the best configurations.

    Attributes:
        name: The parameter.
        cells: Its value in each study; None where the study has no best trial or no such parameter.
        is_different: Whether it is not the same in all.
    """

    name: str
    cells: list[board.Cell | None]
    is_different: bool


@router.get("/compare")
def compare_studies(
    request: Request,
    study: Annotated[list[str], Query(max_length=100)] = [],  # noqa: B006  # FastAPI copies it.
    axis: Across = Across.EPOCHS,
) -> Response:
    """Two to six studies side by side."""
    return page("compare_studies.html", **_compared(service_of(request), study, axis))


def _compared(service: Service, names: list[str], axis: Across) -> Context:
    with service.reading() as tx:
        found = comparing.compare(tx, names)
        views = {view.name: view for view in overview.named(tx, names)}
    now = service.clock()
    is_comparable = len({study.metric for study in found.items}) == 1
    asked = [("study", name) for name in names]
    return {
        "studies": found.items,
        "elapsed_s": {study.name: _elapsed_s(study, now) for study in found.items},
        "leading": _leading(found.items) if is_comparable else None,
        **(_pictures(found.items, axis, now) if is_comparable else {"history": None, "distribution": None}),
        "differences": [(one.field, spelled(one)) for one in found.differences],
        "parameters": _parameters([views[name] for name in names]),
        "axes": [(one.value, f"/compare?{urlencode([*asked, ('axis', one.value)])}", one is axis) for one in Across],
        "as_json": f"/api/v1/studies:compare?{urlencode(asked)}",
        "now": now,
    }


def _pictures(studies: list[ComparedStudy], axis: Across, now: datetime) -> Context:
    return {
        "history": study_overlay.histories(studies, is_by_time=axis is Across.TIME, now=now),
        "distribution": study_overlay.distributions(studies),
    }


def spelled(difference: SetupDifference) -> list[str]:
    """The values of a part of the set-up, as people read them."""
    is_parameter = difference.field.startswith("space.")
    return [_parameter_in_words(value) if is_parameter else _fact(value) for value in difference.values]


def _fact(value: Any) -> str:
    return formats.ABSENT if value is None else formats.fact(value)


def _parameter_in_words(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return formats.ABSENT
    if body["type"] == "categorical":
        said = ", ".join(formats.parameter(choice) for choice in body["choices"])
    else:
        low, high = (formats.parameter(body[end], body["scale"]) for end in ("low", "high"))
        scale = "" if body["scale"] == "linear" else f", {formats.words(body['scale'])}"
        step = "" if body.get("step") in (None, 1) else f", step {formats.parameter(body['step'])}"
        said = f"{low} … {high}{scale}{step}"
    when = "; ".join(f"{parent} is {' or '.join(map(str, of))}" for parent, of in (body.get("when") or {}).items())
    return f"{said}, when {when}" if when else said


def _elapsed_s(study: ComparedStudy, now: datetime) -> float:
    return max(0.0, ((study.ended_at or now) - study.created_at).total_seconds())


def _leading(studies: list[ComparedStudy]) -> str | None:
    values = {study.name: study.best.value for study in studies if study.best}
    if not values:
        return None
    best = (min if studies[0].metric.direction == "minimize" else max)(values.values())
    leaders = [name for name, value in values.items() if value == best]
    return leaders[0] if len(leaders) == 1 else None


def _parameters(views: list[StudyView]) -> list[ParameterRow]:
    names = list(dict.fromkeys(name for view in views for name in view.space.names))
    configurations = [_cells(view.space, view.best.params) if view.best else {} for view in views]
    rows = []
    for name in names:
        cells = [cells.get(name) for cells in configurations]
        is_different = len({cell and cell.exact for cell in cells}) > 1
        rows.append(ParameterRow(name, cells, is_different))
    return rows if any(configurations) else []


def _cells(space: Space, params: Params) -> dict[str, board.Cell]:
    return {cell.name: cell for cell in board.cells(space, params)}
