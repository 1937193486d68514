"""The leaderboard of a study's page: what its address asks for, and what its template shows."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import CaviarError, InvalidRequest
from caviar.contract.space import Space
from caviar.contract.views import StudyView
from service.domain.board_query import COLUMNS, BoardQuery
from service.store.transaction import Transaction
from service.use_cases import fleet, ranking, reading
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.pages.parameters import Context, StudyName
from service.web.rendering import HEADERS, page
from service.web.tables import board_tools, leaderboard

PAGE_SIZES = (25, 50, 100, 200)

router = APIRouter(include_in_schema=False)


@router.get("/studies/{name}/fragments/leaderboard")
def show_leaderboard(request: Request, name: StudyName) -> Response:
    """A page of the leaderboard."""
    service: Service = service_of(request)
    with service.reading() as tx:
        view = fleet.with_able_workers(tx, [reading.study(tx, name)], lease_ttl_s=service.lease_ttl_s)[0]
        query = board_tools.query_of(view.space, request.query_params.multi_items())
        shown = leaderboard_context(tx, service, view, query)
    return page("fragments/leaderboard.html", **shown)


def requested(request: Request, space: Space) -> tuple[BoardQuery, CaviarError | None]:
    """What the address of a page asks for, and why it cannot be had: then it is the usual view.

    Args:
        request: Of a page that shows the leaderboard.
        space: Search space of the study.
    """
    try:
        return board_tools.query_of(space, request.query_params.multi_items()), None
    except InvalidRequest as refused:
        return BoardQuery(), refused


def tidied(request: Request, query: BoardQuery) -> Response | None:
    """The way to the plain address of what a form has asked for; None if the address is plain."""
    if board_tools.is_plain(request.query_params.multi_items()):
        return None
    return RedirectResponse(f"{request.url.path}{query.address}#leaderboard", status_code=303, headers=HEADERS)


def leaderboard_context(tx: Transaction, service: Service, view: StudyView, query: BoardQuery) -> Context:
    """What `fragments/leaderboard.html` shows.

    Args:
        tx: Where it is read.
        service: The service.
        view: The study.
        query: Which rows and columns.
    """
    found = ranking.leaderboard(tx, view.name, query)
    columns = leaderboard.shown_columns(query, found, view)
    shown = {column.key for column in columns}
    base = f"/studies/{quote(view.name, safe='')}"
    return {
        "study": view,
        "board": found,
        "query": query,
        "columns": columns,
        "pinned": leaderboard.rows(found.pinned, query, view, found.noise),
        "rows": leaderboard.rows(found.items, query, view, found.noise),
        "noise": leaderboard.noise_text(found.noise) if found.noise else "",
        "choices": [(one, one.key in shown) for one in _all_columns(query, view)],
        "states": board_tools.states(query),
        "fields": board_tools.filter_fields(query, view.space),
        "other_conditions": board_tools.other_conditions(query, view.space),
        "chips": board_tools.chips(query, view),
        "kept": lambda *names: board_tools.kept(query, *names),
        "page_sizes": sorted({*PAGE_SIZES, query.limit}),
        "plain_address": f"{base}{BoardQuery(columns=query.columns, limit=query.limit, pins=query.pins).address}",
        "previous": _turned(base, query, query.after - query.limit) if query.after else None,
        "next": _turned(base, query, found.next_after) if found.next_after is not None else None,
        "first": _turned(base, query, 0),
        "usual_address": f"{base}{query.changed(columns=None).address}{leaderboard.ANCHOR}",
        "export": f"/api/v1{base}/leaderboard{query.address}",
        "retest": {"top": "5", "repeats": "2", "problem": None},
        "refused": None,
        "workers": fleet.num_alive(tx, lease_ttl_s=service.lease_ttl_s),
        "now": service.clock(),
    }


def _all_columns(query: BoardQuery, view: StudyView) -> list[leaderboard.Column]:
    plain = list(COLUMNS)
    after = plain.index("state") + 1
    keys = [*plain[:after], *(f"params.{name}" for name in view.space.names), *plain[after:]]
    return [leaderboard.column(key, query, view) for key in keys]


def _turned(base: str, query: BoardQuery, after: int) -> str:
    return f"{base}{query.changed(after=max(0, after)).address}{leaderboard.ANCHOR}"
