"""How attempts, trials and studies end: the changes that several use cases share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from caviar.contract.messages import TrialStatus
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
) -> TrialStatus:
    """End a trial for good, and its running attempt with it.

    Args:
        trial: Its row, with `leased_at` if it is in training; read after all that this transaction has measured.
        state: A finished state.
        reason: Why.
        how: How the running attempt ends, if there is one.
        evidence: What the reason rests on.
        outcome: What the worker said, if it did.
        error: What went wrong.
    Returns:
        Where it stands now.
    """
    if trial.state == TrialState.RUNNING:
        leases.end(tx, trial, how, outcome=outcome, error=error)
    values: dict[str, Any] = {"error": error} if error is not None else {}
    trials.change(tx, trial.id, state=state, stop_reason=reason, evidence=evidence, ended_at=tx.now, **values)
    retention.end_trial(tx, trial.id)
    if state is not TrialState.CANCELLED:
        studies.count_stagnant(tx, trial.study_id, trial.id)
    tx.emit(
        trial.study_id,
        "trial_ended",
        trial_id=trial.id,
        number=trial.number,
        state=state,
        stop_reason=reason,
        value=trial.value,
        best_epoch=trial.best_epoch,
        num_epochs=trial.num_epochs,
        attempt=trial.attempt,
    )
    return TrialStatus(trial_id=trial.id, state=state, stop_reason=str(reason))


def pause_trial(tx: Transaction, trial: Record, epoch: int, evidence: Evidence) -> None:
    """End the running attempt at a rung; the trial may be promoted later."""
    leases.end(tx, trial, AttemptEnd.PAUSED)
    trials.change(tx, trial.id, state=TrialState.PAUSED, evidence=evidence)
    retention.end_attempt(tx, trial.id)
    studies.count_stagnant(tx, trial.study_id, trial.id)
    tx.emit(trial.study_id, "trial_paused", trial_id=trial.id, number=trial.number, attempt=trial.attempt, epoch=epoch)


def end_overdue(
    tx: Transaction, trial: Record, spec: StudySpec, *, how: AttemptEnd, outcome: Outcome | None = None
) -> TrialStatus:
    """End a trial whose attempt has used up its seconds; one that has not reported an epoch by then has failed."""
    ended = TrialState.FAILED if trial.value is None else TrialState.COMPLETE
    evidence: Evidence = {
        "rule": "max_trial_seconds",
        "epoch": trial.num_epochs,
        "threshold": spec.budget.max_trial_seconds,
    }
    return end_trial(tx, trial, ended, StopReason.TIME_LIMIT, how=how, evidence=evidence, outcome=outcome)


def requeue_trial(
    tx: Transaction,
    trial: Record,
    how: AttemptEnd,
    *,
    is_charged: bool,
    outcome: Outcome | None = None,
    error: Mapping[str, Any] | None = None,
) -> TrialStatus:
    """End the running attempt and let the trial wait for another one; returns where it stands now."""
    leases.end(tx, trial, how, outcome=outcome, error=error)
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
    return TrialStatus(trial_id=trial.id, state=TrialState.WAITING, stop_reason=trial.stop_reason)


def lose_trial(tx: Transaction, trial: Record, spec: StudySpec, *, detail: str) -> TrialState:
    """Charge an attempt whose worker is gone: the trial waits again, or has failed once its retries are used up."""
    num_charged = trial.num_charged + 1
    if rules.may_retry(spec.retries, num_charged):
        return requeue_trial(tx, trial, AttemptEnd.EXPIRED, is_charged=True).state
    trials.change(tx, trial.id, num_charged=num_charged)
    evidence: Evidence = {"rule": "retries", "retries": spec.retries, "attempts_charged": num_charged, "detail": detail}
    return end_trial(tx, trial, TrialState.FAILED, StopReason.LOST, how=AttemptEnd.EXPIRED, evidence=evidence).state


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


def settle_study(tx: Transaction, study_id: int) -> bool:
    """End a running study that may create no more trials and has none left to run or to promote.

    Where trials are paused, the next claim finds out whether one of them is to be promoted.

    Returns:
        Whether it was ended.
    """
    study = studies.by_id(tx, study_id, is_locked=True)
    if study is None or study.state != StudyState.RUNNING:
        return False
    spec = parsed(study.spec_text)
    reason = limit_reached(tx, study, spec)
    if reason is None or trials.any_unfinished(tx, study_id):
        return False
    end_study(tx, study_id, reason)
    return True


def settle_study_of(tx: Transaction, trial: Record) -> bool:
    """Settle the study of a trial that has just ended, as `settle_study` does, if there can be anything to settle.

    Args:
        tx: The transaction.
        trial: Its row with its study's standing, from before it ended.
    """
    reason = rules.exhausted(
        parsed(trial.spec_text).budget,
        num_trials=trial.study_num_trials - trial.study_num_imported,
        num_epochs=trial.study_num_epochs + tx.spent(trial.study_id),
        created_at=trial.study_created_at,
        now=tx.now,
        # It may be one more that brought nothing new.
        num_stagnant=trial.study_num_stagnant + 1,
    )
    return reason is not None and settle_study(tx, trial.study_id)


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
