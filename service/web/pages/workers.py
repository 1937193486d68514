"""The workers: their machines, devices, slots and modes, and the buttons that steer them."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import NotFound
from caviar.contract.states import WorkerMode
from service.domain.principal import Right
from service.use_cases import access, controlling, fleet, neighbours
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.pages.parameters import Context, WorkerId
from service.web.rendering import HEADERS, page
from service.web.tables.fleet import WorkerEntry, entry, hosts

MAX_GONE = 50

router = APIRouter(include_in_schema=False)
Verb = Literal["pause", "resume", "drain"]
_MODES = {"pause": WorkerMode.PAUSED, "resume": WorkerMode.WORKING, "drain": WorkerMode.DRAINING}


@router.get("/workers")
def show_workers(
    request: Request,
    did: Literal["", "pause", "resume", "drain"] = "",
    worker: Annotated[str, Query(max_length=36)] = "",
    host: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """All workers, and what was just done to one of them or to a machine."""
    context = _workers(service_of(request))
    present: list[WorkerEntry] = context["present"]
    touched = [one for one in present if worker and one.worker.worker_id == worker]
    on_host = [one for one in present if host and one.worker.host == host]
    return page("workers.html", **context, did=did, touched=touched[0] if touched else None, on_host=on_host)


@router.get("/fragments/workers")
def show_workers_fragment(request: Request) -> Response:
    """The workers alone."""
    return page("fragments/workers.html", **_workers(service_of(request)))


# Before the route of a single worker, which would take `hosts` for its id.
@router.post("/workers/hosts/{verb}")
def steer_host(request: Request, verb: Verb, host: Annotated[str, Form(max_length=200)]) -> Response:
    """Steer all connected workers of a machine, then show them all."""
    service: Service = service_of(request)
    with service.reading() as tx:
        access.check(tx, Right.ADMINISTER)
        found = fleet.workers(tx, lease_ttl_s=service.lease_ttl_s).items
    named = [worker for worker in found if worker.is_alive and worker.host == host]
    if not named:
        raise NotFound(f"received the host {host!r}, but no connected worker is on it")
    for worker in named:
        controlling.steer_worker(service, worker.worker_id, _MODES[verb])
    return _go_to(f"did={verb}&host={quote(host, safe='')}")


@router.post("/workers/{worker_id}/{verb}")
def steer_worker(request: Request, worker_id: WorkerId, verb: Verb) -> Response:
    """Pause, resume or drain a worker, then show them all."""
    controlling.steer_worker(service_of(request), worker_id, _MODES[verb])
    return _go_to(f"did={verb}&worker={quote(worker_id, safe='')}")


def _go_to(query: str) -> Response:
    return RedirectResponse(f"/workers?{query}", status_code=303, headers=HEADERS)


def _workers(service: Service) -> Context:
    now = service.clock()
    with service.reading() as tx:
        found = fleet.workers(tx, lease_ttl_s=service.lease_ttl_s).items
        trials = neighbours.training(tx, [worker for worker in found if worker.is_alive])
        demand = fleet.demand(tx)
    entries = [entry(worker, trials, now=now, lease_ttl_s=service.lease_ttl_s) for worker in found]
    present = [one for one in entries if one.worker.is_alive]
    gone = [one for one in entries if not one.worker.is_alive]
    return {
        "present": present,
        "hosts": hosts(present),
        "gone": gone[:MAX_GONE],
        "num_gone": len(gone),
        "demand": demand,
        "now": now,
    }
