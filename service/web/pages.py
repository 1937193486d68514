"""What each page shows, read from the service in one transaction."""

from __future__ import annotations

from typing import Any

from caviar.contract.study import Metric
from caviar.contract.views import Measurements, StudyView, TrialDetail
from service.store.transaction import Transaction
from service.use_cases import fleet, reading
from service.use_cases.service import Service
from service.web import board
from service.web.chart import Chart, study_chart, trial_chart
from service.web.fleet import entry

STUDIES_PER_PAGE = 50
ROWS_PER_PAGE = 100
MAX_CURVES = 500
MAX_ROUNDS = 8
MAX_GONE = 50

Context = dict[str, Any]


def studies(service: Service, after: str | None) -> Context:
    """The list of studies."""
    with service.reading() as tx:
        page = reading.list_studies(tx, limit=STUDIES_PER_PAGE, after=after)
        workers = _num_workers(tx, service)
    entries = [(study, board.shares(study.counts, board.expected_trials(study))) for study in page.items]
    now = service.clock()
    return {"entries": entries, "after": after, "next_after": page.next_after, "workers": workers, "now": now}


def workers(service: Service) -> Context:
    """The workers: those that are connected, and those that have gone."""
    with service.reading() as tx:
        found = fleet.workers(tx, lease_ttl_s=service.lease_ttl_s).items
        names = fleet.trial_names(tx, found)
        demand = fleet.demand(tx)
    entries = [entry(worker, names) for worker in found]
    present = sorted(
        (one for one in entries if one.worker.is_alive), key=lambda one: (one.worker.name, one.worker.host)
    )
    gone = [one for one in entries if not one.worker.is_alive][:MAX_GONE]
    return {"present": present, "gone": gone, "demand": demand, "now": service.clock()}


def study(service: Service, name: str, offset: int) -> Context:
    """A study with all parts of its page."""
    with service.reading() as tx:
        view = _study(tx, service, name)
        parts = _summary(tx, service, view) | _leaderboard(tx, view, offset) | _rounds(tx, view)
        return parts | {"chart": _chart(tx, view)}


def summary(service: Service, name: str) -> Context:
    """The facts at the head of a study's page."""
    with service.reading() as tx:
        return _summary(tx, service, _study(tx, service, name))


def leaderboard(service: Service, name: str, offset: int) -> Context:
    """A page of the leaderboard."""
    with service.reading() as tx:
        view = _study(tx, service, name)
        return _leaderboard(tx, view, offset) | {"workers": _num_workers(tx, service)}


def curves(service: Service, name: str) -> Context:
    """The learning curves of a study."""
    with service.reading() as tx:
        view = reading.study(tx, name)
        return {"study": view, "chart": _chart(tx, view)}


def rounds(service: Service, name: str) -> Context:
    """The newest rounds of a study."""
    with service.reading() as tx:
        return _rounds(tx, reading.study(tx, name))


def trial(service: Service, trial_id: int) -> Context:
    """One trial."""
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


def _study(tx: Transaction, service: Service, name: str) -> StudyView:
    return fleet.with_able_workers(tx, [reading.study(tx, name)], lease_ttl_s=service.lease_ttl_s)[0]


def _summary(tx: Transaction, service: Service, view: StudyView) -> Context:
    now = service.clock()
    return {
        "study": view,
        "shares": board.shares(view.counts, board.expected_trials(view)),
        "num_finished": sum(amount for state, amount in view.counts.items() if state.is_finished) - view.num_imported,
        "elapsed_s": max(0.0, ((view.ended_at or now) - view.created_at).total_seconds()),
        "workers": _num_workers(tx, service),
        "now": now,
    }


def _leaderboard(tx: Transaction, view: StudyView, offset: int) -> Context:
    found = reading.leaderboard(tx, view.name, limit=ROWS_PER_PAGE, after=offset)
    return {
        "study": view,
        "rows": board.rows(found, view),
        "total": found.total,
        "offset": offset,
        "previous_after": max(0, offset - ROWS_PER_PAGE),
        "next_after": found.next_after,
    }


def _rounds(tx: Transaction, view: StudyView) -> Context:
    opened = reading.rounds(tx, view.name).items
    newest = opened[: -MAX_ROUNDS - 1 : -1]
    return {
        "study": view,
        "rounds": [(entry, board.windows(entry, view.space)) for entry in newest],
        "num_earlier_rounds": len(opened) - len(newest),
    }


def _chart(tx: Transaction, view: StudyView) -> Chart:
    after = max(-1, view.num_trials - 1 - MAX_CURVES)
    items = reading.curves(tx, view.name, limit=MAX_CURVES, after=after).items
    if view.best and all(curve.number != view.best.number for curve in items):
        items = reading.curves(tx, view.name, limit=1, after=view.best.number - 1).items + items
    best = view.best.trial_id if view.best else None
    return study_chart(items, view.metric, max_epochs=view.budget.max_epochs, best=best)


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


def _num_workers(tx: Transaction, service: Service) -> int:
    found = fleet.workers(tx, lease_ttl_s=service.lease_ttl_s)
    return sum(worker.is_alive for worker in found.items)
