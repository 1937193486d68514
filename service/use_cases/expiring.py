"""What time does: leases run out, trials and studies use up their seconds."""

from __future__ import annotations

from datetime import timedelta

from caviar.contract.states import AttemptEnd, EndReason, StudyState
from caviar.contract.study import StudySpec
from service.domain import rules
from service.store import leases, studies, trials, workers
from service.store.transaction import Record, Transaction
from service.use_cases import ending
from service.use_cases.specs import parsed

_PORTION = 100


def expire_leases(tx: Transaction) -> int:
    """Take trials away from workers that gave no sign of life for longer than the lease lasts.

    Returns:
        How many leases were taken back; as many as a portion means that more may be waiting.
    """
    expired = leases.expired(tx, _PORTION)
    for trial_id in expired:
        trial = trials.with_lease(tx, trial_id)
        ending.lose_trial(tx, trial, parsed(trial.spec_text), detail="its lease was not renewed in time")
        ending.settle_study_of(tx, trial)
    return len(expired)


def enforce_time_limits(tx: Transaction) -> None:
    """End trials and studies whose seconds are used up, whether their workers report or not."""
    for study in studies.in_state(tx, StudyState.RUNNING, StudyState.PAUSED):
        spec = StudySpec.model_validate(study.spec)
        if ending.limit_reached(tx, study, spec) is EndReason.MAX_SECONDS:
            ending.end_study(tx, study.id, EndReason.MAX_SECONDS)
        elif spec.budget.max_trial_seconds is not None:
            _end_overdue(tx, study, spec)


def _end_overdue(tx: Transaction, study: Record, spec: StudySpec) -> None:
    for lease in leases.running(tx, study.id):
        if not rules.is_overdue(spec.budget, started_at=lease.started_at, now=tx.now):
            continue
        trial = trials.with_lease(tx, lease.trial_id)
        ending.end_overdue(tx, trial, spec, how=AttemptEnd.STOPPED)
        ending.settle_study_of(tx, trial)


def grant_grace(tx: Transaction, lease_ttl_s: float, jump_s: float = 0.0) -> None:
    """Give every lease a full term: while the service was down, no worker could renew.

    Args:
        lease_ttl_s: The term.
        jump_s: Seconds by which the clock was moved meanwhile, below 0 if it was set back. They count neither as time
            that trials have used up nor as a silence of workers.
    """
    leases.renew_all(tx, tx.now + timedelta(seconds=lease_ttl_s))
    if jump_s:
        leases.move_begins(tx, timedelta(seconds=jump_s))
    workers.seen_by_now(tx)
