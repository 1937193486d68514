"""Workers ending their runs: finish, release, heartbeat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import JsonValue

from caviar.contract.errors import LeaseLost, StateConflict
from caviar.contract.fleet import RunFacts
from caviar.contract.messages import Finish, Heartbeat, HeartbeatAnswer, Release, TrialStatus
from caviar.contract.states import AttemptEnd, Outcome, StopReason, TrialState, WorkerMode
from service.domain import rules
from service.store import leases, trials, workers
from service.store.transaction import Record, Transaction
from service.use_cases import access, ending, retention
from service.use_cases.searching import Search, Searches

_GONE = frozenset({"killed", "exited"})


def finish(tx: Transaction, searches: Searches, trial_id: int, body: Finish) -> TrialStatus:
    """End the attempt that holds a lease, in the way its worker says.

    A training that failed or stood still is run again while retries are left; a divergence or an infeasible
    configuration is not. One that ran out of memory is run once more alone on its device, whatever the retries.
    Repeating the call changes nothing.

    Raises:
        LeaseLost: The token is not the trial's current one (410).
        StateConflict: The same attempt was finished before with another outcome (409).
        NotFound: There is no such trial (404).
    """
    trial = access.leased_trial(tx, trial_id)
    if trial.token != body.lease:
        return _finished_before(tx, searches, trial, body)
    search = searches.knowing(tx, trial.study_id, trial.study_last_seq)
    leases.tell(tx, trial.id, trial.attempt, facts=told(body.facts), log_tail=body.log_tail)
    error = None if body.error is None else body.error.model_dump(mode="json")
    is_overdue = rules.is_overdue(search.spec.budget, started_at=trial.leased_at, now=tx.now)
    if body.outcome is Outcome.COMPLETE and is_overdue and trial.num_epochs < search.spec.budget.max_epochs:
        ended = ending.end_overdue(tx, trial, search.spec, how=AttemptEnd.FINISHED, outcome=Outcome.COMPLETE)
    elif body.outcome is Outcome.COMPLETE and trial.num_epochs > 0:
        ended = _complete(tx, search, trial)
    elif body.outcome is Outcome.COMPLETE:
        nothing: dict[str, Any] = {
            "kind": "NothingReported",
            "message": "the training ended without reporting an epoch",
            "traceback": "",
        }
        ended = _fail(tx, search, trial, Outcome.FAILED, nothing, said=Outcome.COMPLETE)
    elif body.outcome is Outcome.OUT_OF_MEMORY:
        ended = _run_out_of_memory(tx, trial, body, error)
    else:
        ended = _fail(tx, search, trial, body.outcome, error, said=body.outcome)
    ending.settle_study_of(tx, trial)
    return _weighed(tx, search, trial, ended)


def _weighed(tx: Transaction, search: Search, trial: Record, ended: TrialStatus) -> TrialStatus:
    if not ended.state.is_finished:
        return ended
    return ended.model_copy(update={"keep_weights": retention.wants_weights(tx, trial, search.spec)})


def _complete(tx: Transaction, search: Search, trial: Record) -> TrialStatus:
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
    return ending.end_trial(
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
) -> TrialStatus:
    num_charged = trial.num_charged + 1
    if outcome in rules.RETRIED and rules.may_retry(search.spec.retries, num_charged):
        return ending.requeue_trial(tx, trial, AttemptEnd.FINISHED, is_charged=True, outcome=said, error=error)
    trials.change(tx, trial.id, num_charged=num_charged)
    evidence: dict[str, JsonValue] = {
        "rule": _rule(outcome, error),
        "epoch": trial.num_epochs,
        "attempt": trial.attempt,
    }
    if outcome in rules.RETRIED:
        evidence |= {"retries": search.spec.retries, "attempts_charged": num_charged}
    return ending.end_trial(
        tx,
        trial,
        TrialState.FAILED,
        rules.FAILURES[outcome],
        how=AttemptEnd.FINISHED,
        evidence=evidence,
        outcome=said,
        error=error,
    )


def _rule(outcome: Outcome, error: dict[str, Any] | None) -> str:
    # A process that ended under a training is told apart from a training that raised an exception.
    is_gone = outcome is Outcome.FAILED and error is not None and error["kind"] in _GONE
    return str(error["kind"]) if is_gone and error is not None else str(outcome)


def _run_out_of_memory(tx: Transaction, trial: Record, body: Finish, error: dict[str, Any] | None) -> TrialStatus:
    # Beside others it may have been their memory, so it is not charged; alone it can only have been its own.
    was_alone = trial.is_alone or (body.facts is not None and body.facts.is_alone is True)
    if not was_alone:
        trials.change(tx, trial.id, is_alone=True)
        how, outcome = AttemptEnd.FINISHED, body.outcome
        return ending.requeue_trial(tx, trial, how, is_charged=False, outcome=outcome, error=error)
    shown = ("device", "device_name", "peak_device_memory_bytes", "peak_memory_bytes")
    facts = leases.facts_of(tx, trial.id, trial.attempt)
    evidence: dict[str, JsonValue] = {
        "rule": str(Outcome.OUT_OF_MEMORY),
        "epoch": trial.num_epochs,
        "alone": True,
        "attempts": trial.attempt,
        **{name: facts[name] for name in shown if name in facts},
    }
    return ending.end_trial(
        tx,
        trial,
        TrialState.FAILED,
        rules.FAILURES[body.outcome],
        how=AttemptEnd.FINISHED,
        evidence=evidence,
        outcome=body.outcome,
        error=error,
    )


def told(facts: RunFacts | None) -> dict[str, Any] | None:
    """The circumstances that a worker knows of, to be stored."""
    known = {} if facts is None else facts.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in known.items() if value != {}} or None


def _finished_before(tx: Transaction, searches: Searches, trial: Record, body: Finish) -> TrialStatus:
    attempt = leases.attempt_of_token(tx, trial.id, body.lease)
    if attempt is not None and attempt.end in (AttemptEnd.STOPPED, AttemptEnd.PAUSED):
        # It has ended by a decision of ours; how much memory it took is told only now.
        leases.tell(tx, trial.id, attempt.attempt, facts=told(body.facts), log_tail=body.log_tail)
        return _status(trial)
    if attempt is not None and attempt.end == AttemptEnd.FINISHED:
        if attempt.outcome == body.outcome and attempt.attempt == trial.attempt:
            search = searches.knowing(tx, trial.study_id, trial.study_last_seq)
            return _weighed(tx, search, trial, _status(trial))
        if attempt.outcome == body.outcome:
            return _status(trial)
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
    trial = access.leased_trial(tx, trial_id)
    if trial.token != body.lease:
        attempt = leases.attempt_of_token(tx, trial_id, body.lease)
        if attempt is not None and attempt.end in (AttemptEnd.RELEASED, AttemptEnd.STOPPED, AttemptEnd.PAUSED):
            return _status(trial)
        raise LeaseLost(f"the lease of trial {trial_id} is not its current one; drop this run, nothing was changed")
    if body.is_checkpoint_missing:
        trials.change(tx, trial.id, checkpoint_epoch=retention.fall_back(tx, trial))
    return ending.requeue_trial(tx, trial, AttemptEnd.RELEASED, is_charged=False)


def heartbeat(tx: Transaction, worker_id: str, body: Heartbeat, *, lease_ttl_s: float) -> HeartbeatAnswer:
    """Renew a worker's leases, and tell it which of them are lost and which checkpoints nobody needs any more.

    Raises:
        NotFound: The worker never registered here (404).
    """
    worker = access.worker(tx, worker_id)
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
    return _status(trials.get(tx, trial_id))


def _status(trial: Record) -> TrialStatus:
    return TrialStatus(trial_id=trial.id, state=TrialState(trial.state), stop_reason=trial.stop_reason)
