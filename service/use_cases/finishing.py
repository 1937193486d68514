"""Workers ending their runs: finish, release, heartbeat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import JsonValue

from caviar.contract.errors import LeaseLost, StateConflict
from caviar.contract.messages import Finish, Heartbeat, HeartbeatAnswer, Release, TrialStatus
from caviar.contract.states import AttemptEnd, Outcome, StopReason, TrialState, WorkerMode
from service.domain import rules
from service.store import leases, trials, workers
from service.store.transaction import Record, Transaction
from service.use_cases import ending
from service.use_cases.searching import Search, Searches


def finish(tx: Transaction, searches: Searches, trial_id: int, body: Finish) -> TrialStatus:
    """End the attempt that holds a lease, in the way its worker says.

    A failed training is run again while retries are left; a divergence or an infeasible configuration is not.
    Repeating the call changes nothing.

    Raises:
        LeaseLost: The token is not the trial's current one (410).
        StateConflict: The same attempt was finished before with another outcome (409).
        NotFound: There is no such trial (404).
    """
    trial = trials.with_lease(tx, trial_id)
    if trial.token != body.lease:
        return _finished_before(tx, trial, body)
    search = searches.of(trial.study_id)
    error = None if body.error is None else body.error.model_dump(mode="json")
    is_overdue = rules.is_overdue(search.spec.budget, started_at=trial.leased_at, now=tx.now)
    if body.outcome is Outcome.COMPLETE and is_overdue and trial.num_epochs < search.spec.budget.max_epochs:
        ending.end_overdue(tx, trial, search.spec, how=AttemptEnd.FINISHED, outcome=Outcome.COMPLETE)
    elif body.outcome is Outcome.COMPLETE and trial.num_epochs > 0:
        _complete(tx, search, trial)
    elif body.outcome is Outcome.COMPLETE:
        nothing: dict[str, Any] = {
            "kind": "NothingReported",
            "message": "the training ended without reporting an epoch",
            "traceback": "",
        }
        _fail(tx, search, trial, Outcome.FAILED, nothing, said=Outcome.COMPLETE)
    else:
        _fail(tx, search, trial, body.outcome, error, said=body.outcome)
    ending.settle_study(tx, trial.study_id)
    return status(tx, trial_id)


def _complete(tx: Transaction, search: Search, trial: Record) -> None:
    max_epochs, early_stopping = search.spec.budget.max_epochs, search.spec.early_stopping
    reason, evidence = StopReason.MAX_EPOCHS, None
    if trial.num_epochs < max_epochs:
        reason = StopReason.EARLY_STOPPED
        evidence = {
            "rule": "early_stopping",
            "epoch": trial.num_epochs,
            "value": trial.value,
            "best_epoch": trial.best_epoch,
            "patience": None if early_stopping is None else early_stopping.patience,
        }
    ending.end_trial(
        tx,
        trial,
        TrialState.COMPLETE,
        reason,
        how=AttemptEnd.FINISHED,
        evidence=evidence,
        outcome=Outcome.COMPLETE,
    )


def _fail(
    tx: Transaction, search: Search, trial: Record, outcome: Outcome, error: dict[str, Any] | None, *, said: Outcome
) -> None:
    num_charged = trial.num_charged + 1
    if outcome in rules.RETRIED and rules.may_retry(search.spec.retries, num_charged):
        ending.requeue_trial(tx, trial, AttemptEnd.FINISHED, is_charged=True, outcome=said, error=error)
        return
    trials.change(tx, trial.id, num_charged=num_charged)
    evidence: dict[str, JsonValue] = {"rule": str(outcome), "epoch": trial.num_epochs, "attempt": trial.attempt}
    ending.end_trial(
        tx,
        trial,
        TrialState.FAILED,
        rules.FAILURES[outcome],
        how=AttemptEnd.FINISHED,
        evidence=evidence,
        outcome=said,
        error=error,
    )


def _finished_before(tx: Transaction, trial: Record, body: Finish) -> TrialStatus:
    attempt = leases.attempt_of_token(tx, trial.id, body.lease)
    if attempt is not None and attempt.end in (AttemptEnd.STOPPED, AttemptEnd.PAUSED):
        return status(tx, trial.id)
    if attempt is not None and attempt.end == AttemptEnd.FINISHED:
        if attempt.outcome == body.outcome:
            return status(tx, trial.id)
        raise StateConflict(
            f"attempt {attempt.attempt} of trial {trial.id} was finished as {attempt.outcome}, "
            f"now received {body.outcome}; an outcome never changes"
        )
    raise LeaseLost(f"the lease of trial {trial.id} is not its current one; drop this run, nothing was changed")


def release(tx: Transaction, trial_id: int, body: Release) -> TrialStatus:
    """Give a trial back, so that another worker takes it soon; the attempt is not charged. Repeating changes nothing.

    Raises:
        LeaseLost: The token is not the trial's current one (410).
        NotFound: There is no such trial (404).
    """
    trial = trials.with_lease(tx, trial_id)
    if trial.token != body.lease:
        attempt = leases.attempt_of_token(tx, trial_id, body.lease)
        if attempt is not None and attempt.end in (AttemptEnd.RELEASED, AttemptEnd.STOPPED, AttemptEnd.PAUSED):
            return status(tx, trial_id)
        raise LeaseLost(f"the lease of trial {trial_id} is not its current one; drop this run, nothing was changed")
    if body.is_checkpoint_missing:
        trials.change(tx, trial.id, checkpoint_epoch=None)
    ending.requeue_trial(tx, trial, AttemptEnd.RELEASED, is_charged=False)
    return status(tx, trial_id)


def heartbeat(tx: Transaction, worker_id: str, body: Heartbeat, *, lease_ttl_s: float) -> HeartbeatAnswer:
    """Renew a worker's leases, and tell it which of them are lost and which checkpoints nobody needs any more.

    Raises:
        NotFound: The worker never registered here (404).
    """
    worker = workers.get(tx, worker_id)
    told = body.model_dump(mode="json", include={"devices", "slots"})
    workers.seen(tx, worker_id, devices=told["devices"], slot_facts=told["slots"])
    held = leases.renew_tokens(tx, worker_id, body.leases, tx.now + timedelta(seconds=lease_ttl_s))
    return HeartbeatAnswer(
        lost=[token for token in body.leases if token not in held],
        discard=sorted(trials.ended_of(tx, body.checkpoints)) if body.checkpoints else [],
        mode=WorkerMode(worker.mode),
    )


def status(tx: Transaction, trial_id: int) -> TrialStatus:
    """Where a trial stands."""
    trial = trials.get(tx, trial_id)
    return TrialStatus(trial_id=trial_id, state=TrialState(trial.state), stop_reason=trial.stop_reason)
