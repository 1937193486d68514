"""The list of studies: searched, filtered, sorted, a page at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from caviar.contract.views import StudyView
from service.domain.study_query import StudyQuery, StudySort
from service.store.transaction import Transaction
from service.use_cases import fleet, overview
from service.use_cases.service import Service
from service.web import notices
from service.web.acting import service_of
from service.web.pages.parameters import Context
from service.web.rendering import page
from service.web.tables import listing
from service.web.tables.listing import STUDIES_PER_PAGE

router = APIRouter(include_in_schema=False)

Asked = Annotated[StudyQuery, Query()]


@router.get("/")
def show_studies(request: Request, query: Asked) -> Response:
    """The studies that are asked for, the newest first."""
    return page("studies.html", **_studies(service_of(request), query))


@router.get("/fragments/studies")
def show_studies_fragment(request: Request, query: Asked) -> Response:
    """The table of studies alone."""
    return page("fragments/studies.html", **_studies(service_of(request), query))


def _studies(service: Service, query: StudyQuery) -> Context:
    if "limit" not in query.model_fields_set:
        query = query.model_copy(update={"limit": STUDIES_PER_PAGE})
    with service.reading() as tx:
        found = overview.find(tx, query)
        counts = overview.count(tx, query)
        items = fleet.with_able_workers(tx, found.items, lease_ttl_s=service.lease_ttl_s)
        histories = overview.histories(tx, [study.name for study in items])
        workers = fleet.num_alive(tx, lease_ttl_s=service.lease_ttl_s)
        about = _about(tx)
    return {
        "entries": listing.entries(found.model_copy(update={"items": items}), histories),
        "query": query,
        "sorts": [(sort.value, listing.columns(query)[sort.value].label) for sort in StudySort],
        "columns": listing.columns(query),
        "filters": listing.filters(query, counts),
        "all_states": listing.address(query, state=[], offset=0, after=None),
        "unfiltered": listing.address(query, q="", state=[], offset=0, after=None),
        "archive": listing.address(query, archived=not query.archived, offset=0, after=None),
        "num_found": sum(counts.values()),
        "total": found.total,
        "here": listing.address(query),
        "fragment": listing.address(query, "/fragments/studies"),
        "as_json": listing.address(query, "/api/v1/studies"),
        "first": listing.address(query, offset=0, after=None),
        "previous": listing.address(query, offset=max(0, query.offset - query.limit)),
        "next": listing.address(query, offset=query.offset + query.limit) if found.next_after else None,
        "about": about,
        "workers": workers,
        "now": service.clock(),
    }


def _about(tx: Transaction) -> StudyView | None:
    name = notices.current().about
    found = None if name is None else overview.named(tx, [name])
    return found[0] if found else None
