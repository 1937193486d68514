"""What a study teaches: parallel coordinates, importances, slices, pairs of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.analysis import ImportanceMethod, Importances
from caviar.contract.errors import StateConflict
from caviar.contract.space import CategoricalParameter, Space
from caviar.contract.views import StudyView
from service.domain.board_query import Condition
from service.use_cases import analysing, contours, fleet, points, reading
from service.use_cases.service import Service
from service.web import formats
from service.web.acting import service_of
from service.web.pages.parameters import Context, StudyName
from service.web.pictures import analysis, brushes
from service.web.pictures.brushes import Marks
from service.web.rendering import HEADERS, page
from service.web.tables import board

ROWS_SHOWN = 20
_MAX_DOTS = 12_000
_FULL = 1000

router = APIRouter(include_in_schema=False)

Where = Annotated[list[str], Query(max_length=300)]
Top = Annotated[int, Query(ge=1, le=100)]
Hidden = Annotated[list[Literal["pruned"]], Query(max_length=1)]
Parameter = Annotated[str | None, Query(max_length=64)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for.

    Attributes:
        where: What is marked, as addresses have it.
        top: Only so many percent of the trials, the best ones.
        hide: States that are left out.
    """

    where: list[str]
    top: int
    hide: list[str]

    def marks(self, space: Space) -> Marks:
        """The marks, in a space that they fit."""
        return Marks(brushes.read(self.where, space), self.top, bool(self.hide))


def _asked(where: Where = [], top: Top = 100, hide: Hidden = []) -> Asked:  # noqa: B006 - FastAPI copies both
    return Asked(where, top, list(hide))


MarksAsked = Annotated[Asked, Depends(_asked)]


@router.get("/studies/{name}/analysis")
def show_parallel(request: Request, name: StudyName, asked: MarksAsked) -> Response:
    """Parallel coordinates."""
    service: Service = service_of(request)
    study = _study(service, name)
    return _page(service, study, "parallel", _parallel(service, study, asked.marks(study.space)))


@router.get("/studies/{name}/analysis/slices")
def show_slices(request: Request, name: StudyName, method: ImportanceMethod | None = None) -> Response:
    """Importances and the metric against each parameter."""
    service: Service = service_of(request)
    study = _study(service, name)
    return _page(service, study, "slices", _slices(service, study, method) | {"method": method})


@router.get("/studies/{name}/analysis/pairs")
def show_pairs(request: Request, name: StudyName, x: Parameter = None, y: Parameter = None) -> Response:
    """The metric over two parameters."""
    service: Service = service_of(request)
    study = _study(service, name)
    return _page(service, study, "pairs", _pairs(service, study, x, y))


@router.get("/studies/{name}/analysis/brush")
def apply_brush(request: Request, name: StudyName) -> Response:
    """Marks as the form sends them, places on the axes, as an address with natural values."""
    study = _study(service_of(request), name)
    query = request.query_params
    conditions: dict[str, Condition] = {}
    for axis in analysis.parameter_axes(study.space):
        parameter = study.space[axis.label]
        found: Condition | None = None
        if isinstance(parameter, CategoricalParameter):
            positions = [int(at) for at in query.getlist(f"{axis.name}.choice") if at.isdecimal()]
            found = brushes.from_positions(axis.label, parameter, positions)
        else:
            ends = [query.get(f"{axis.name}.{end}", usual) for end, usual in (("low", "0"), ("high", str(_FULL)))]
            low, high = (min(int(end), _FULL) / _FULL if end.isdecimal() else 0.0 for end in ends)
            found = brushes.from_places(axis.label, parameter, low, high)
        if found:
            conditions[found.column] = found
    top = query.get("top", "100")
    share = min(max(int(top), 1), 100) if top.isdecimal() else 100
    marks = Marks(conditions, share, query.get("hide") == "pruned")
    return RedirectResponse(f"/studies/{name}/analysis{marks.query}", status_code=303, headers=HEADERS)


@router.get("/studies/{name}/fragments/selection")
def show_selection(request: Request, name: StudyName, asked: MarksAsked) -> Response:
    """The table of the trials within all marks."""
    service: Service = service_of(request)
    study = _study(service, name)
    return page("fragments/selection.html", study=study, **_parallel(service, study, asked.marks(study.space)))


@router.get("/studies/{name}/fragments/importances")
def show_importances(
    request: Request, name: StudyName, method: ImportanceMethod = ImportanceMethod.PED_ANOVA
) -> Response:
    """How much each parameter matters; computed now, which may take a second."""
    service: Service = service_of(request)
    study = _study(service, name)
    return page("fragments/importances.html", study=study, method=method, **_importances(service, name, method))


def _page(service: Service, study: StudyView, view: str, context: Context) -> Response:
    return page("analysis.html", study=study, view=view, now=service.clock(), **context)


def _study(service: Service, name: str) -> StudyView:
    with service.reading() as tx:
        return fleet.with_able_workers(tx, [reading.study(tx, name)], lease_ttl_s=service.lease_ttl_s)[0]


def _parallel(service: Service, study: StudyView, marks: Marks) -> Context:
    with service.reading() as tx:
        found = points.points(tx, study.name)
    selection = brushes.select(found, study.space, marks)
    places = formats.decimals(study.best.value) if study.best else 4
    rows = [
        {
            "trial_id": found.trial_ids[at],
            "number": found.numbers[at],
            "state": found.states[at],
            "epochs": found.epochs[at],
            "value": formats.aligned(found.values[at], places),
            "cells": board.cells(study.space, brushes.present(found.params, at)),
        }
        for at in selection.rows[:ROWS_SHOWN]
    ]
    return {
        "axes": analysis.axes(found, study.space, marks.conditions),
        "marks": marks,
        "query": marks.query,
        "found": found,
        "selection": selection,
        "rows": rows,
    }


def _slices(service: Service, study: StudyView, method: ImportanceMethod | None) -> Context:
    with service.reading() as tx:
        found = points.points(tx, study.name, limit=_num_dots(study.space))
    best = study.best.trial_id if study.best else None
    axis = analysis.metric_axis(found)
    context: Context = {
        "found": found,
        "slices": analysis.slices(found, study.space, best),
        "value_ticks": axis.ticks(),
        "importances": None,
    }
    return context | (_importances(service, study.name, method) if method else {})


def _num_dots(space: Space) -> int:
    return max(100, min(points.USUAL_POINTS, _MAX_DOTS // len(space)))


def _importances(service: Service, name: str, method: ImportanceMethod) -> Context:
    try:
        found: Importances | None = analysing.importances(service, name, method)
    except StateConflict as refused:
        return {"importances": None, "refusal": refused.detail}
    return {"importances": found, "refusal": None}


def _pairs(service: Service, study: StudyView, x: str | None, y: str | None) -> Context:
    names = study.space.names
    usual = [name for name in names if not study.space[name].when] + names
    first = x or next((name for name in usual if name != y), names[0])
    second = y or next((name for name in usual if name != first), names[0])
    context: Context = {
        "axes": analysis.parameter_axes(study.space),
        "pair": (first, second),
        "is_chosen": bool(x and y),
        "map": None,
        "refusal": None,
    }
    if not context["is_chosen"] or len(names) < 2:
        return context
    try:
        with service.reading() as tx:
            return context | {"map": analysis.heat_map(contours.contour(tx, study.name, first, second))}
    except StateConflict as refused:
        return context | {"refusal": refused.detail}
