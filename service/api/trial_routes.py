"""Trials, and what the service knows of objectives and workers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from caviar.contract.messages import TrialStatus
from caviar.contract.views import Measurements, Objectives, TrialDetail, Workers
from service.api.dependencies import CurrentService, TrialId
from service.use_cases import controlling, reading, submitting

router = APIRouter(tags=["trials"])


@router.get("/trials/{trial_id}")
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
        return reading.workers(tx, now=service.clock(), lease_ttl_s=service.lease_ttl_s)
