"""One trial: parameters, curve, attempts, why it ended."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from caviar.contract.study import Metric
from caviar.contract.views import Measurements, TrialDetail
from service.use_cases import reading
from service.use_cases.service import Service
from service.web import board
from service.web.chart import Chart, trial_chart
from service.web.pages.parameters import Context, TrialId
from service.web.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/trials/{trial_id}")
def show_trial(request: Request, trial_id: TrialId) -> Response:
    """One trial: parameters, curve, attempts, why it ended."""
    return page("trial.html", **_trial(request.app.state.service, trial_id))


@router.get("/trials/{trial_id}/fragments/trial")
def show_trial_fragment(request: Request, trial_id: TrialId) -> Response:
    """The live part of a trial's page."""
    return page("fragments/trial.html", **_trial(request.app.state.service, trial_id))


def _trial(service: Service, trial_id: int) -> Context:
    with service.reading() as tx:
        detail = reading.trial(tx, trial_id)
        view = reading.study(tx, detail.study)
        measured = reading.measurements(tx, trial_id)
    names = list(dict.fromkeys(name for item in measured.items for name in item.metrics))
    names.sort(key=lambda name: (name != detail.metric.name, name))
    return {
        "trial": detail,
        "study": view,
        "cells": board.cells(view.space, detail.params),
        "chart": _trial_chart(detail, measured),
        "measured": measured.items,
        "metric_names": names,
        "is_best": view.best is not None and view.best.trial_id == trial_id,
        "now": service.clock(),
    }


def _trial_chart(detail: TrialDetail, measured: Measurements) -> Chart:
    names = [detail.metric.name]
    if (training := detail.metric.name.removeprefix("val_")) != detail.metric.name:
        names.append(training)
    series: dict[str, tuple[list[int], list[float]]] = {}
    for name in names:
        pairs = [(item.epoch, item.metrics[name]) for item in measured.items if name in item.metrics]
        if pairs:
            series[name] = [epoch for epoch, _ in pairs], [value for _, value in pairs]
    metric: Metric = detail.metric
    return trial_chart(series, metric, max_epochs=detail.max_epochs)
