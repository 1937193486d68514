"""One study: where it stands, its curves, its leaderboard, its rounds."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from caviar.contract.views import StudyView
from service.store.transaction import Transaction
from service.use_cases import fleet, reading
from service.use_cases.service import Service
from service.web import board
from service.web.chart import Chart, study_chart
from service.web.pages.parameters import Context, Offset, StudyName
from service.web.rendering import page

ROWS_PER_PAGE = 100
MAX_CURVES = 500
MAX_ROUNDS = 8

router = APIRouter(include_in_schema=False)


@router.get("/studies/{name}")
def show_study(request: Request, name: StudyName, after: Offset = 0) -> Response:
    """One study: where it stands, its curves, its leaderboard."""
    return page("study.html", **_shown(request.app.state.service, name, after))


@router.get("/studies/{name}/setup")
def show_setup(request: Request, name: StudyName) -> Response:
    """What a study searches, trains and may spend."""
    service: Service = request.app.state.service
    with service.reading() as tx:
        view = _study(tx, service, name)
    return page("setup.html", study=view, now=service.clock())


@router.get("/studies/{name}/fragments/summary")
def show_summary(request: Request, name: StudyName) -> Response:
    """The facts at the head of a study's page."""
    return page("fragments/summary.html", **_summary_alone(request.app.state.service, name))


@router.get("/studies/{name}/fragments/leaderboard")
def show_leaderboard(request: Request, name: StudyName, after: Offset = 0) -> Response:
    """A page of the leaderboard."""
    return page("fragments/leaderboard.html", **_leaderboard_alone(request.app.state.service, name, after))


@router.get("/studies/{name}/fragments/curves")
def show_curves(request: Request, name: StudyName) -> Response:
    """The learning curves of a study."""
    return page("fragments/curves.html", **_curves(request.app.state.service, name))


@router.get("/studies/{name}/fragments/rounds")
def show_rounds(request: Request, name: StudyName) -> Response:
    """The newest rounds of a study's strategy."""
    return page("fragments/rounds.html", **_rounds_alone(request.app.state.service, name))


def _shown(service: Service, name: str, offset: int) -> Context:
    """A study with all parts of its page."""
    with service.reading() as tx:
        view = _study(tx, service, name)
        parts = _summary(tx, service, view) | _leaderboard(tx, view, offset) | _rounds(tx, view)
        return parts | {"chart": _chart(tx, view)}


def _summary_alone(service: Service, name: str) -> Context:
    """The facts at the head of a study's page."""
    with service.reading() as tx:
        return _summary(tx, service, _study(tx, service, name))


def _leaderboard_alone(service: Service, name: str, offset: int) -> Context:
    """A page of the leaderboard."""
    with service.reading() as tx:
        view = _study(tx, service, name)
        return _leaderboard(tx, view, offset) | {"workers": fleet.num_alive(tx, lease_ttl_s=service.lease_ttl_s)}


def _curves(service: Service, name: str) -> Context:
    """The learning curves of a study."""
    with service.reading() as tx:
        view = reading.study(tx, name)
        return {"study": view, "chart": _chart(tx, view)}


def _rounds_alone(service: Service, name: str) -> Context:
    """The newest rounds of a study."""
    with service.reading() as tx:
        return _rounds(tx, reading.study(tx, name))


def _study(tx: Transaction, service: Service, name: str) -> StudyView:
    return fleet.with_able_workers(tx, [reading.study(tx, name)], lease_ttl_s=service.lease_ttl_s)[0]


def _summary(tx: Transaction, service: Service, view: StudyView) -> Context:
    now = service.clock()
    return {
        "study": view,
        "shares": board.shares(view.counts, board.expected_trials(view)),
        "num_finished": sum(amount for state, amount in view.counts.items() if state.is_finished) - view.num_imported,
        "elapsed_s": max(0.0, ((view.ended_at or now) - view.created_at).total_seconds()),
        "workers": fleet.num_alive(tx, lease_ttl_s=service.lease_ttl_s),
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
