"""Templates, and the headers that every page carries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from service.web import acting, formats, library, notices
from service.web.assets import bundle
from service.web.pictures.chart import MARKS
from service.web.tables import fleet

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
"""Nothing from elsewhere, nothing inline, no framing, and no address (which may hold a token) told to others."""

STUDY_VIEWS = {
    "Leaderboard": "",
    "Curves": "/curves",
    "Zoom map": "/zoom",
    "Analysis": "/analysis",
    "Rungs": "/rungs",
    "Timeline": "/timeline",
    "Set-up": "/setup",
}
"""The views of one study, with what their addresses add to the one of the study."""

_FOLDER = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """The templates, with the filters of `formats`."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "ago": formats.ago,
        "circumstances": fleet.circumstances,
        "combine": lambda first, second: {**first, **second},
        "count": formats.count,
        "fact": formats.fact,
        "instant": formats.instant,
        "number": formats.number,
        "parameter": formats.parameter,
        "path": lambda part: quote(str(part), safe=""),
        "requirements": fleet.requirements,
        "seconds": formats.seconds,
        "size": formats.size,
        "words": formats.words,
    }
    made.globals["visitor"] = acting.current
    made.globals["csrf"] = acting.form_input
    made.globals["asset"] = bundle().url
    made.globals["mark_shapes"] = MARKS
    made.globals["notice"] = notices.current
    made.globals["study_views"] = STUDY_VIEWS
    made.globals["library"] = library.url
    return made


def render(template: str, context: Mapping[str, Any]) -> str:
    """Render a template alone."""
    return environment().get_template(template).render(context)


def page(template: str, *, status: int = 200, headers: dict[str, str] | None = None, **context: Any) -> HTMLResponse:
    """Render a template with the headers of a page.

    Args:
        template: Its file name.
        status: HTTP status.
        headers: Further headers, or other values of those that every page has.
        context: What the template shows.
    """
    content = render(template, context)
    return HTMLResponse(content, status_code=status, headers=HEADERS | (headers or {}))
