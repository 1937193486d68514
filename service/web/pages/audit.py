"""The audit log: who did what, searched and a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.use_cases import auditing
from service.use_cases.auditing import AuditQuery
from service.web.acting import service_of
from service.web.rendering import page

ENTRIES_PER_PAGE = 100

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Query(max_length=200)]
Day = Annotated[str, Query(max_length=10)]
After = Annotated[int | None, Query(ge=0, lt=2**31)]


@router.get("/audit")
def show_audit(
    request: Request,
    *,
    actor: Text = "",
    action: Text = "",
    about: Annotated[str, Query(alias="object", max_length=200)] = "",
    since: Day = "",
    until: Day = "",
    after: After = None,
) -> Response:
    """The entries that are asked for, the newest first."""
    service = service_of(request)
    asked = {"actor": actor.strip(), "action": action.strip(), "object": about.strip(), "since": since, "until": until}
    query = AuditQuery(
        asked["actor"] or None,
        asked["action"] or None,
        asked["object"] or None,
        _moment(since),
        _moment(until),
        after,
        ENTRIES_PER_PAGE,
    )
    with service.reading() as tx:
        found = auditing.page(tx, query)
        actions = auditing.actions(tx)
    own = {name: text for name, text in asked.items() if text}
    return page(
        "audit.html",
        entries=found.items,
        actions=actions,
        asked=asked,
        first=f"/audit?{urlencode(own)}" if after is not None else None,
        next=f"/audit?{urlencode(own | {'after': found.next_after})}" if found.next_after else None,
        now=service.clock(),
    )


def _moment(day: str) -> datetime | None:
    """The beginning of a day as a form names it; None for none, or for what is no day."""
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) if day else None
    except ValueError:
        return None
