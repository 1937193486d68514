"""One study: where it stands, its curves, its leaderboard."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from caviar.contract.views import StudyView
from service.domain.board_query import BoardQuery
from service.store.transaction import Transaction
from service.use_cases import access, fleet, reading
from service.use_cases.service import Service
from service.web.acting import rights_of, service_of
from service.web.live.broadcaster import Shown, View
from service.web.pages import curves
from service.web.pages.board import leaderboard_context, requested, tidied
from service.web.pages.live_curves import Frames
from service.web.pages.parameters import Context, StudyName
from service.web.rendering import page, render
from service.web.tables import board
from service.web.tables.board_tools import query_of

router = APIRouter(include_in_schema=False)


@router.get("/studies/{name}")
def show_study(request: Request, name: StudyName) -> Response:
    """One study: where it stands, its curves, its leaderboard."""
    service: Service = service_of(request)
    with service.reading() as tx:
        space = reading.study(tx, name).space
    query, refused = requested(request, space)
    if refused is None and (plain := tidied(request, query)):
        return plain
    shown = study_context(service, name, query) | {"refused": refused}
    return page("study.html", status=refused.status if refused else 200, **shown)


@router.get("/studies/{name}/setup")
def show_setup(request: Request, name: StudyName) -> Response:
    """What a study searches, trains and may spend."""
    service: Service = service_of(request)
    with service.reading() as tx:
        view = _study(tx, service, name)
    return page("setup.html", study=view, now=service.clock())


@router.get("/studies/{name}/fragments/summary")
def show_summary(request: Request, name: StudyName) -> Response:
    """The facts at the head of a study's page."""
    return page("fragments/summary.html", **_summary_alone(service_of(request), name))


def live_view(service: Service, name: str, query: Sequence[tuple[str, str]]) -> View:
    """What the page shows, for those who keep it open.

    Args:
        service: The service.
        name: The study.
        query: The page's query string as pairs.
    Raises:
        NotFound: There is no such study (404).
    """
    with service.reading() as tx:
        study_id = int(access.study(tx, name).id)
        asked = query_of(reading.study(tx, name).space, query)

    frames = Frames()

    def shown() -> Shown:
        with service.reading() as tx:
            view = _study(tx, service, name)
            frame = frames.newer(tx, view)
            parts = _summary(tx, service, view) | leaderboard_context(tx, service, view, asked)
        blocks = {key: render(f"fragments/{key}.html", parts) for key in ("summary", "leaderboard")}
        return Shown(view.last_event_seq, blocks, frame, standing=(parts["workers"], view.num_able_workers))

    return View(("study", study_id, asked, rights_of(service)), study_id, shown, lambda: live_standing(service, name))


def live_standing(service: Service, name: str) -> object:
    """What a study's page shows that changes without an event."""
    with service.reading() as tx:
        view = _study(tx, service, name)
        return fleet.num_alive(tx, lease_ttl_s=service.lease_ttl_s), view.num_able_workers


def study_context(service: Service, name: str, query: BoardQuery) -> Context:
    """What `study.html` shows: a study with all parts of its page.

    Args:
        service: The service.
        name: The study.
        query: Which rows and columns of the leaderboard.
    """
    with service.reading() as tx:
        view = _study(tx, service, name)
        parts = _summary(tx, service, view) | leaderboard_context(tx, service, view, query)
        return parts | curves.beside(tx, view)


def _summary_alone(service: Service, name: str) -> Context:
    """The facts at the head of a study's page."""
    with service.reading() as tx:
        return _summary(tx, service, _study(tx, service, name))


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
