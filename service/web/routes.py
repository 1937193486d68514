"""Routes of the pages."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from service.web import acting, login, notices, sign_on
from service.web.pages import (
    actions,
    analysis,
    annotating,
    audit,
    board,
    comparing_studies,
    comparing_trials,
    curves,
    editing,
    files,
    new,
    retesting,
    rungs,
    space,
    streaming,
    studies,
    study,
    timeline,
    tokens,
    trial,
    trial_edit,
    webhooks,
    workers,
    zoom,
)

_PAGES = (
    new,
    analysis,
    curves,
    zoom,
    space,
    rungs,
    timeline,
    studies,
    comparing_studies,
    actions,
    editing,
    streaming,
    study,
    board,
    comparing_trials,
    retesting,
    annotating,
    trial,
    trial_edit,
    workers,
    webhooks,
    tokens,
    audit,
    login,
    sign_on,
    files,
)


def include(router: APIRouter) -> None:
    """Add all pages, their fragments, the login and the static files to a router."""
    # Each by itself: the framework prepares every route of a router within a router twice.
    for one in _PAGES:
        router.include_router(
            one.router, include_in_schema=False, dependencies=[Depends(notices.note), Depends(acting.note)]
        )
