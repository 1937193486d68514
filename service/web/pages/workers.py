"""The workers: their devices, slots and modes."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.states import WorkerMode
from service.use_cases import controlling, fleet
from service.use_cases.service import Service
from service.web.fleet import entry
from service.web.pages.parameters import Context, WorkerId
from service.web.rendering import HEADERS, page

MAX_GONE = 50

router = APIRouter(include_in_schema=False)
_MODES = {"pause": WorkerMode.PAUSED, "resume": WorkerMode.WORKING, "drain": WorkerMode.DRAINING}


@router.get("/workers")
def show_workers(request: Request) -> Response:
    """All workers: their devices, slots and modes."""
    return page("workers.html", **_workers(request.app.state.service))


@router.get("/fragments/workers")
def show_workers_fragment(request: Request) -> Response:
    """The workers alone."""
    return page("fragments/workers.html", **_workers(request.app.state.service))


@router.post("/workers/{worker_id}/{verb}")
def steer_worker(request: Request, worker_id: WorkerId, verb: Literal["pause", "resume", "drain"]) -> Response:
    """Pause, resume or drain a worker, then show them all."""
    controlling.steer_worker(request.app.state.service, worker_id, _MODES[verb])
    return RedirectResponse("/workers", status_code=303, headers=HEADERS)


def _workers(service: Service) -> Context:
    with service.reading() as tx:
        found = fleet.workers(tx, lease_ttl_s=service.lease_ttl_s).items
        names = fleet.trial_names(tx, found)
        demand = fleet.demand(tx)
    entries = [entry(worker, names) for worker in found]
    present = sorted(
        (one for one in entries if one.worker.is_alive), key=lambda one: (one.worker.name, one.worker.host)
    )
    gone = [one for one in entries if not one.worker.is_alive][:MAX_GONE]
    return {"present": present, "gone": gone, "demand": demand, "now": service.clock()}
