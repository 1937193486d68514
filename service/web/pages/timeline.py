"""When each attempt of a study ran, and where."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime
from starlette.responses import Response

from caviar.contract.timeline import Timeline
from service.use_cases import reading
from service.use_cases.service import Service
from service.use_cases.timeline import timeline
from service.web.acting import service_of
from service.web.pages.parameters import Context, StudyName
from service.web.pictures.timeline import gantt
from service.web.rendering import page

_LAST = {"10 min": timedelta(minutes=10), "1 h": timedelta(hours=1), "6 h": timedelta(hours=6)}

router = APIRouter(include_in_schema=False)

From = Annotated[AwareDatetime | None, Query(alias="from")]
To = Annotated[AwareDatetime | None, Query(alias="to")]
Last = Annotated[int | None, Query(ge=1, le=10**8, description="Seconds before the end of the study, or before now.")]


@router.get("/studies/{name}/timeline")
def show_timeline(request: Request, name: StudyName, begin: From = None, end: To = None, last: Last = None) -> Response:
    """The attempts of a study over wall time."""
    return page("timeline.html", **_timeline(service_of(request), name, begin, end, last))


@router.get("/studies/{name}/fragments/timeline")
def show_timeline_fragment(
    request: Request, name: StudyName, begin: From = None, end: To = None, last: Last = None
) -> Response:
    """The live part of the timeline."""
    return page("fragments/timeline.html", **_timeline(service_of(request), name, begin, end, last))


def _timeline(service: Service, name: str, begin: datetime | None, end: datetime | None, last_s: int | None) -> Context:
    with service.reading() as tx:
        study = reading.study(tx, name)
        if last_s is not None:
            begin = max((study.ended_at or tx.now) - timedelta(seconds=last_s), study.created_at)
        found = timeline(tx, name, begin=begin, end=end)
        now = tx.now
    query = {"last": str(last_s)} if last_s is not None else _window(begin, end)
    return {
        "study": study,
        "timeline": found,
        "picture": gantt(found, now),
        "query": urlencode(query),
        "choices": [
            (words, f"last={int(span.total_seconds())}", last_s == span.total_seconds())
            for words, span in _LAST.items()
        ],
        "is_all": not query,
        "zooms": _zooms(found),
        "now": now,
    }


def _window(begin: datetime | None, end: datetime | None) -> dict[str, str]:
    return {key: at.isoformat() for key, at in (("from", begin), ("to", end)) if at is not None}


def _zooms(view: Timeline) -> dict[str, str]:
    """Addresses of neighbouring windows, for those who cannot drag."""
    width = view.to_at - view.from_at
    moved = {
        "Earlier": (view.from_at - width / 2, view.to_at - width / 2),
        "Later": (view.from_at + width / 2, view.to_at + width / 2),
        "Closer": (view.from_at + width / 4, view.to_at - width / 4),
        "Wider": (view.from_at - width / 2, view.to_at + width / 2),
    }
    return {words: urlencode(_window(*ends)) for words, ends in moved.items()}
