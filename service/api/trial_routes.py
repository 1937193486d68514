"""Trials, and what the service knows of objectives and workers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse

from caviar.contract.messages import TrialStatus
from caviar.contract.states import WorkerMode
from caviar.contract.views import Demand, Measurements, Objectives, TrialDetail, Workers, WorkerView
from service.api.dependencies import CurrentService, TrialId, WorkerId
from service.use_cases import controlling, fleet, reading, snippets, submitting

router = APIRouter(tags=["trials"])
PYTHON = "text/x-python"


class PythonText(PlainTextResponse):
    """A program."""

    media_type = PYTHON


@router.get("/trials/{trial_id:segment}")
def read_trial(service: CurrentService, trial_id: TrialId) -> TrialDetail:
    """Read a trial with its attempts."""
    with service.reading() as tx:
        return reading.trial(tx, trial_id)


@router.get("/trials/{trial_id}/measurements")
def read_measurements(
    service: CurrentService,
    trial_id: TrialId,
    attempts: Annotated[
        Literal["current", "all"],
        Query(description="`current`: the curve, each epoch once; `all`: also epochs of attempts that were lost."),
    ] = "current",
) -> Measurements:
    """Read the epochs of a trial."""
    with service.reading() as tx:
        return reading.measurements(tx, trial_id, is_current=attempts == "current")


@router.get(
    "/trials/{trial_id}/snippet",
    response_class=PythonText,
    responses={200: {"description": "The program.", "content": {PYTHON: {"schema": {"type": "string"}}}}},
)
def read_snippet(service: CurrentService, trial_id: TrialId) -> PythonText:
    """Read a trial's configuration as a Python program: complete for `mlp` on a named set, else what to build from."""
    with service.reading() as tx:
        return PythonText(snippets.of_id(tx, trial_id))


@router.post("/trials/{trial_id}:stop")
def stop_trial(service: CurrentService, trial_id: TrialId) -> TrialStatus:
    """Cancel a trial that waits or runs; what it measured stays."""
    return service.write(lambda tx: controlling.stop_trial(tx, trial_id))


@router.post("/trials/{trial_id}:retry")
def retry_trial(service: CurrentService, trial_id: TrialId) -> TrialStatus:
    """Run an ended trial of a live study once more."""
    return service.write(lambda tx: controlling.retry_trial(tx, trial_id))


@router.get("/objectives", tags=["objectives"])
def list_objectives(service: CurrentService) -> Objectives:
    """List what can be trained, with the default search spaces."""
    with service.reading() as tx:
        return reading.objectives(tx, submitting.offered_objectives(tx))


@router.get("/workers", tags=["workers"])
def list_workers(service: CurrentService) -> Workers:
    """List registered workers, those seen last first."""
    with service.reading() as tx:
        return fleet.workers(tx, lease_ttl_s=service.lease_ttl_s)


@router.get("/workers:demand", tags=["workers"])
def read_demand(service: CurrentService) -> Demand:
    """Read how many trials are in training, and how many could be if there were slots for all.

    For programs that start and end workers. Studies that no worker can serve now count as well.
    """
    with service.reading() as tx:
        return fleet.demand(tx)


@router.post("/workers/{worker_id}:pause", tags=["workers"])
def pause_worker(service: CurrentService, worker_id: WorkerId) -> WorkerView:
    """Give a worker nothing new; what it trains goes on."""
    return controlling.steer_worker(service, worker_id, WorkerMode.PAUSED)


@router.post("/workers/{worker_id}:resume", tags=["workers"])
def resume_worker(service: CurrentService, worker_id: WorkerId) -> WorkerView:
    """Give a worker trials again."""
    return controlling.steer_worker(service, worker_id, WorkerMode.WORKING)


@router.post("/workers/{worker_id}:drain", tags=["workers"])
def drain_worker(service: CurrentService, worker_id: WorkerId) -> WorkerView:
    """Give a worker nothing new; it ends once what it trains is done."""
    return controlling.steer_worker(service, worker_id, WorkerMode.DRAINING)
