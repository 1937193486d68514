"""The list of studies."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.use_cases import fleet, reading
from service.use_cases.service import Service
from service.web import board
from service.web.pages.parameters import Context
from service.web.rendering import page

STUDIES_PER_PAGE = 50

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_studies(request: Request, after: str | None = None) -> Response:
    """All studies, the newest first."""
    return page("studies.html", **_studies(request.app.state.service, after))


@router.get("/fragments/studies")
def show_studies_fragment(request: Request, after: str | None = None) -> Response:
    """The table of studies alone."""
    return page("fragments/studies.html", **_studies(request.app.state.service, after))


def _studies(service: Service, after: str | None) -> Context:
    with service.reading() as tx:
        page = reading.list_studies(tx, limit=STUDIES_PER_PAGE, after=after)
        workers = fleet.num_alive(tx, lease_ttl_s=service.lease_ttl_s)
    entries = [(study, board.shares(study.counts, board.expected_trials(study))) for study in page.items]
    now = service.clock()
    return {"entries": entries, "after": after, "next_after": page.next_after, "workers": workers, "now": now}
