"""Routes of the pages."""

from __future__ import annotations

from fastapi import APIRouter

from service.web import login
from service.web.pages import files, studies, study, trial, workers

_PAGES = (studies, study, trial, workers, login, files)


def router() -> APIRouter:
    """All pages, their fragments, the login and the static files."""
    made = APIRouter(include_in_schema=False)
    for one in _PAGES:
        made.include_router(one.router)
    return made
