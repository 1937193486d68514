"""The worker wire: register, claim, heartbeat, report, finish, release.

These handlers are async, because they are the hot path: they hand their operation to the group-commit writer and are
resumed after its commit, without a thread per request.
"""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, status

from caviar.contract.errors import LeaseLost
from caviar.contract.messages import (
    Claim,
    Claimed,
    Finish,
    Heartbeat,
    HeartbeatAnswer,
    RegisterWorker,
    Release,
    Report,
    ReportAnswer,
    TrialStatus,
    WorkerRegistered,
)
from service.api.dependencies import CurrentService, TrialId, WorkerId
from service.use_cases import claiming, finishing, registering

router = APIRouter(tags=["worker wire"])


@router.post("/workers", status_code=status.HTTP_201_CREATED)
async def register_worker(service: CurrentService, body: RegisterWorker) -> WorkerRegistered:
    """Make a worker known, with what it can train."""
    return await service.submit(partial(registering.register, body=body, lease_ttl_s=service.lease_ttl_s))


@router.post("/workers/{worker_id}:claim")
async def claim_trials(service: CurrentService, worker_id: WorkerId, body: Claim) -> Claimed:
    """Take trials to train. The same `request_id` gets the same answer again."""
    claimed = await claiming.claim(service, worker_id, body)
    service.counts.claimed(len(claimed.assigned))
    return claimed


@router.post("/workers/{worker_id}:heartbeat")
async def send_heartbeat(service: CurrentService, worker_id: WorkerId, body: Heartbeat) -> HeartbeatAnswer:
    """Renew leases and hear which of them are lost."""
    answer = await service.submit(lambda tx: finishing.heartbeat(tx, worker_id, body, lease_ttl_s=service.lease_ttl_s))
    service.counts.lost(len(answer.lost))
    return answer


@router.post("/measurements")
async def report_measurements(service: CurrentService, body: Report) -> ReportAnswer:
    """Report epochs of any number of leased trials, and hear whether they go on.

    When no item could be stored, the answer is the problem of the first; otherwise `rejected` lists what was not.
    """
    answer = await service.report(body.items)
    service.counts.lost(sum(item.code == LeaseLost.code for item in answer.rejected))
    return answer


@router.post("/trials/{trial_id}:finish")
async def finish_trial(service: CurrentService, trial_id: TrialId, body: Finish) -> TrialStatus:
    """Say how a training ended. A repeated finish is recognised."""
    return await service.submit(lambda tx: finishing.finish(tx, service.searches, trial_id, body))


@router.post("/trials/{trial_id}:release")
async def release_trial(service: CurrentService, trial_id: TrialId, body: Release) -> TrialStatus:
    """Give a trial back at a graceful shutdown; the attempt is not charged."""
    return await service.submit(lambda tx: finishing.release(tx, trial_id, body))
