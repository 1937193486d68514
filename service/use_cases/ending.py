"""How attempts, trials and studies end: the changes that several use cases share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from caviar.contract.states import AttemptEnd, EndReason, Outcome, StopReason, StudyState, TrialState
from caviar.contract.study import StudySpec
from service.domain import rules
from service.store import leases, studies, trials
from service.store.transaction import Record, Transaction
from service.use_cases import retention
from service.use_cases.specs import parsed

Evidence = Mapping[str, JsonValue] | None


def end_trial(
    tx: Transaction,
    trial: Record,
    state: TrialState,
    reason: StopReason,
    *,
    how: AttemptEnd,
    evidence: Evidence = None,
    outcome: Outcome | None = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """End a trial for good, and its running attempt with it.

    Args:
        trial: Its row, with `id`, `study_id`, `number`, `attempt`.
        state: A finished state.
        reason: Why.
        how: How the running attempt ends, if there is one.
        evidence: What the reason rests on.
        outcome: What the worker said, if it did.
        error: What went wrong.
    """
    if trial.attempt > 0:
        leases.end(tx, trial.id, trial.attempt, how, outcome=outcome, error=error)
    values: dict[str, Any] = {"error": error} if error is not None else {}
    trials.change(tx, trial.id, state=state, stop_reason=reason, evidence=evidence, ended_at=tx.now, **values)
    retention.end_trial(tx, trial.id)
    if state is not TrialState.CANCELLED:
        studies.count_stagnant(tx, trial.study_id, trial.id)
    # The row may be older than this transaction's reports; what it has become is what the feed must say.
    now = trials.get(tx, trial.id)
    tx.emit(
        trial.study_id,
        "trial_ended",
        trial_id=trial.id,
        number=trial.number,
        state=state,
        stop_reason=reason,
        value=now.value,
        best_epoch=now.best_epoch,
        num_epochs=now.num_epochs,
        attempt=trial.attempt,
    )


def pause_trial(tx: Transaction, trial: Record, epoch: int, evidence: Evidence) -> None:
    """End the running attempt at a rung; the trial may be promoted later."""
    leases.end(tx, trial.id, trial.attempt, AttemptEnd.PAUSED)
    trials.change(tx, trial.id, state=TrialState.PAUSED, evidence=evidence)
    retention.end_attempt(tx, trial.id)
    studies.count_stagnant(tx, trial.study_id, trial.id)
    tx.emit(trial.study_id, "trial_paused", trial_id=trial.id, number=trial.number, attempt=trial.attempt, epoch=epoch)


def end_overdue(
    tx: Transaction, trial: Record, spec: StudySpec, *, how: AttemptEnd, outcome: Outcome | None = None
) -> None:
    """End a trial whose attempt has used up its seconds; one that has not reported an epoch by then has failed."""
    ended = TrialState.FAILED if trial.value is None else TrialState.COMPLETE
    evidence: Evidence = {
        "rule": "max_trial_seconds",
        "epoch": trial.num_epochs,
        "threshold": spec.budget.max_trial_seconds,
    }
    end_trial(tx, trial, ended, StopReason.TIME_LIMIT, how=how, evidence=evidence, outcome=outcome)


def requeue_trial(
    tx: Transaction,
    trial: Record,
    how: AttemptEnd,
    *,
    is_charged: bool,
    outcome: Outcome | None = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """End the running attempt and let the trial wait for another one."""
    leases.end(tx, trial.id, trial.attempt, how, outcome=outcome, error=error)
    values: dict[str, Any] = {"error": error} if error is not None else {}
    trials.change(tx, trial.id, state=TrialState.WAITING, num_charged=trial.num_charged + int(is_charged), **values)
    retention.end_attempt(tx, trial.id)
    tx.emit(
        trial.study_id,
        "trial_requeued",
        trial_id=trial.id,
        number=trial.number,
        attempt=trial.attempt,
        reason=outcome or how,
        is_charged=is_charged,
    )


def lose_trial(tx: Transaction, trial: Record, spec: StudySpec, *, detail: str) -> TrialState:
    """Charge an attempt whose worker is gone: the trial waits again, or has failed once its retries are used up."""
    num_charged = trial.num_charged + 1
    if rules.may_retry(spec.retries, num_charged):
        requeue_trial(tx, trial, AttemptEnd.EXPIRED, is_charged=True)
        return TrialState.WAITING
    trials.change(tx, trial.id, num_charged=num_charged)
    evidence: Evidence = {"rule": "retries", "retries": spec.retries, "attempts_charged": num_charged, "detail": detail}
    end_trial(tx, trial, TrialState.FAILED, StopReason.LOST, how=AttemptEnd.EXPIRED, evidence=evidence)
    return TrialState.FAILED


def end_study(tx: Transaction, study_id: int, reason: EndReason, *, spare_id: int | None = None) -> None:
    """End a study: what still waits or runs is cancelled, what is paused was pruned, what was measured stays.

    Args:
        study_id: The study.
        reason: The limit that was reached, or `stopped` by a person.
        spare_id: A trial that the caller has ended itself.
    """
    for trial in trials.unfinished(tx, study_id):
        if trial.id != spare_id:
            _end_with_study(tx, trial, reason)
    state = StudyState.STOPPED if reason == EndReason.STOPPED else StudyState.COMPLETE
    studies.change(tx, study_id, state=state, end_reason=reason, ended_at=tx.now)
    tx.emit(study_id, "study_changed", state=state, end_reason=reason)


def _end_with_study(tx: Transaction, trial: Record, reason: EndReason) -> None:
    if trial.state == TrialState.PAUSED:
        # What it was paused for is why it was not promoted.
        evidence: Evidence = {**(trial.evidence or {}), "study_ended": str(reason)}
        end_trial(tx, trial, TrialState.PRUNED, StopReason.PRUNED, how=AttemptEnd.PAUSED, evidence=evidence)
        return
    why = StopReason.TIME_LIMIT if reason == EndReason.MAX_SECONDS else StopReason.CANCELLED
    evidence = {"rule": str(reason), "epoch": trial.num_epochs}
    end_trial(tx, trial, TrialState.CANCELLED, why, how=AttemptEnd.CANCELLED, evidence=evidence)


def settle_study(tx: Transaction, study_id: int) -> None:
    """End a running study that may create no more trials and has none left to run or to promote.

    Where trials are paused, the next claim finds out whether one of them is to be promoted.
    """
    study = studies.by_id(tx, study_id, is_locked=True)
    if study is None or study.state != StudyState.RUNNING:
        return
    spec = parsed(study.spec_text)
    reason = limit_reached(tx, study, spec)
    if reason is not None and not trials.unfinished(tx, study_id):
        end_study(tx, study_id, reason)


def limit_reached(tx: Transaction, study: Record, spec: StudySpec) -> EndReason | None:
    """The limit that forbids a study any new trial now."""
    return rules.exhausted(
        spec.budget,
        num_trials=study.num_trials - study.num_imported,
        num_epochs=study.num_epochs + tx.spent(study.id),
        created_at=study.created_at,
        now=tx.now,
        num_stagnant=study.num_stagnant,
    )
