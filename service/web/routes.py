"""Routes of the pages."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import NotFound
from caviar.contract.states import WorkerMode
from service.use_cases import controlling
from service.web import login, pages
from service.web.assets import bundle
from service.web.rendering import HEADERS, page

Offset = Annotated[int, Query(ge=0, lt=2**53)]
TrialId = Annotated[int, Path(ge=1, lt=2**53)]
WorkerId = Annotated[str, Path(max_length=36)]

_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
_MODES = {"pause": WorkerMode.PAUSED, "resume": WorkerMode.WORKING, "drain": WorkerMode.DRAINING}
_pages = APIRouter(include_in_schema=False)


def router() -> APIRouter:
    """All pages, their fragments, the login and the static files."""
    made = APIRouter(include_in_schema=False)
    made.include_router(_pages)
    made.include_router(login.router)
    return made


@_pages.get("/")
def show_studies(request: Request, after: str | None = None) -> Response:
    """All studies, the newest first."""
    return page("studies.html", **pages.studies(request.app.state.service, after))


@_pages.get("/fragments/studies")
def show_studies_fragment(request: Request, after: str | None = None) -> Response:
    """The table of studies alone."""
    return page("fragments/studies.html", **pages.studies(request.app.state.service, after))


@_pages.get("/workers")
def show_workers(request: Request) -> Response:
    """All workers: their devices, slots and modes."""
    return page("workers.html", **pages.workers(request.app.state.service))


@_pages.get("/fragments/workers")
def show_workers_fragment(request: Request) -> Response:
    """The workers alone."""
    return page("fragments/workers.html", **pages.workers(request.app.state.service))


@_pages.post("/workers/{worker_id}/{verb}")
def steer_worker(request: Request, worker_id: WorkerId, verb: Literal["pause", "resume", "drain"]) -> Response:
    """Pause, resume or drain a worker, then show them all."""
    controlling.steer_worker(request.app.state.service, worker_id, _MODES[verb])
    return RedirectResponse("/workers", status_code=303, headers=HEADERS)


@_pages.get("/studies/{name}")
def show_study(request: Request, name: str, after: Offset = 0) -> Response:
    """One study: where it stands, its curves, its leaderboard."""
    return page("study.html", **pages.study(request.app.state.service, name, after))


@_pages.get("/studies/{name}/fragments/summary")
def show_summary(request: Request, name: str) -> Response:
    """The facts at the head of a study's page."""
    return page("fragments/summary.html", **pages.summary(request.app.state.service, name))


@_pages.get("/studies/{name}/fragments/leaderboard")
def show_leaderboard(request: Request, name: str, after: Offset = 0) -> Response:
    """A page of the leaderboard."""
    return page("fragments/leaderboard.html", **pages.leaderboard(request.app.state.service, name, after))


@_pages.get("/studies/{name}/fragments/curves")
def show_curves(request: Request, name: str) -> Response:
    """The learning curves of a study."""
    return page("fragments/curves.html", **pages.curves(request.app.state.service, name))


@_pages.get("/studies/{name}/fragments/rounds")
def show_rounds(request: Request, name: str) -> Response:
    """The newest rounds of a study's strategy."""
    return page("fragments/rounds.html", **pages.rounds(request.app.state.service, name))


@_pages.get("/trials/{trial_id}")
def show_trial(request: Request, trial_id: TrialId) -> Response:
    """One trial: parameters, curve, attempts, why it ended."""
    return page("trial.html", **pages.trial(request.app.state.service, trial_id))


@_pages.get("/trials/{trial_id}/fragments/trial")
def show_trial_fragment(request: Request, trial_id: TrialId) -> Response:
    """The live part of a trial's page."""
    return page("fragments/trial.html", **pages.trial(request.app.state.service, trial_id))


@_pages.get("/static/{digest}/{name}")
def send_asset(request: Request, digest: str, name: str) -> Response:
    """A script, style or picture; an address of an earlier version is gone, for it must never show another content."""
    found = bundle().files.get(name) if digest == bundle().digest else None
    if found is None:
        raise NotFound(f"there is no static file {name!r} of version {digest!r}; reload the page that names it")
    headers = HEADERS | _IMMUTABLE
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, media_type=found.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.media_type, headers=headers)
