"""Taking measurements and deciding, epoch by epoch, whether their trials go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from caviar.contract.errors import (
    CaviarError,
    FieldError,
    InvalidRequest,
    LeaseLost,
    NotFound,
    ReportConflict,
)
from caviar.contract.messages import Measurement, Rejected, ReportAnswer, TrialDecision
from caviar.contract.states import AttemptEnd, Decision, EndReason, StopReason, TrialState
from service.domain import rules
from service.search.pruner import Verdict
from service.store import leases, measurements, trials
from service.store.transaction import Record, Transaction
from service.use_cases import ending
from service.use_cases.searching import Search, Searches

_GO_ON = Verdict(Decision.CONTINUE)


def report(tx: Transaction, searches: Searches, items: Sequence[Measurement], *, lease_ttl_s: float) -> ReportAnswer:
    """Store epochs of leased trials and decide which of them go on.

    Also renews the leases. Repeating the call with equal arguments changes nothing and gets equal decisions.

    Args:
        items: Epochs of any number of trials, those of one trial in the order of their epochs.
    Returns:
        One decision per trial, after its last item; STOP once the trial is stored as ended.
    Raises:
        LeaseLost: No item was stored, the first one because its token is not the trial's current one (410).
        ReportConflict: No item was stored, the first one because its epoch was reported with other metrics (409).
        NotFound: No item was stored, the first one because there is no such trial (404).
        InvalidRequest: No item was stored, the first one because it lacks the study's metric (422).
    """
    decisions: dict[int, TrialDecision] = {}
    rejected: list[Rejected] = []
    first_error: CaviarError | None = None
    for item in items:
        try:
            decisions[item.trial_id] = _report_one(tx, searches, item, lease_ttl_s)
        except (LeaseLost, ReportConflict, NotFound, InvalidRequest) as error:
            first_error = first_error or error
            rejected.append(Rejected(trial_id=item.trial_id, epoch=item.epoch, code=error.code, detail=error.detail))
    if first_error is not None and not decisions:
        raise first_error
    return ReportAnswer(decisions=list(decisions.values()), rejected=rejected)


def _report_one(tx: Transaction, searches: Searches, item: Measurement, lease_ttl_s: float) -> TrialDecision:
    trial = trials.with_lease(tx, item.trial_id)
    if trial.token != item.lease:
        return _after_the_end(tx, trial, item)
    search = searches.knowing(trial.study_id, trial.number)
    value = _value(search, item)
    # An epoch above the last one cannot have been reported before; only others are looked up.
    is_repeat = item.epoch <= trial.num_epochs and _is_equal_repeat(tx, trial, item)
    if not is_repeat:
        _store(tx, search, trial, item, value)
    leases.renew(tx, trial.id, tx.now + timedelta(seconds=lease_ttl_s))
    verdict = _GO_ON if is_repeat else _decide(tx, search, trial, item, value)
    rule = (verdict.evidence or {}).get("rule")
    reason = None if verdict.decision is Decision.CONTINUE else str(rule)
    return TrialDecision(trial_id=trial.id, decision=verdict.decision, reason=reason)


def _value(search: Search, item: Measurement) -> float:
    name = search.spec.metric.name
    if name not in item.metrics:
        field = FieldError(
            field="metrics",
            received=", ".join(sorted(item.metrics)),
            expected=f"the study's metric {name} among them; report it, or name another metric in the study",
        )
        raise InvalidRequest(f"the measurement of trial {item.trial_id} lacks the metric {name}", errors=[field])
    return item.metrics[name]


def _is_equal_repeat(tx: Transaction, trial: Record, item: Measurement) -> bool:
    stored = measurements.find(tx, trial.id, trial.attempt, item.epoch)
    if stored is None:
        return False
    if stored.metrics != item.metrics:
        raise ReportConflict(
            f"epoch {item.epoch} of attempt {trial.attempt} of trial {trial.id} was reported as {stored.metrics}, "
            f"now received {item.metrics}; a stored epoch never changes"
        )
    return True


def _store(tx: Transaction, search: Search, trial: Record, item: Measurement, value: float) -> None:
    measurements.add(
        tx,
        trial_id=trial.id,
        attempt=trial.attempt,
        epoch=item.epoch,
        value=value,
        metrics=item.metrics,
        elapsed_s=item.elapsed_s,
    )
    best, best_epoch = rules.fold(search.spec.metric, trial.value, trial.best_epoch, value, item.epoch)
    trials.measured(
        tx,
        trial.id,
        value=best,
        best_epoch=best_epoch,
        num_epochs=max(trial.num_epochs, item.epoch),
        elapsed_s=item.elapsed_s,
    )
    tx.spend(trial.study_id, 1)
    tx.reported[trial.id][item.epoch] = value
    tx.emit(
        trial.study_id,
        "measured",
        trial_id=trial.id,
        number=trial.number,
        attempt=trial.attempt,
        epoch=item.epoch,
        value=value,
    )


def _decide(tx: Transaction, search: Search, trial: Record, item: Measurement, value: float) -> Verdict:
    budget, metric, epoch = search.spec.budget, search.spec.metric, item.epoch
    if rules.reaches(metric, value, budget.target):
        evidence = {"rule": "target", "epoch": epoch, "value": value, "threshold": budget.target}
        return _stop(tx, trial, TrialState.COMPLETE, StopReason.EARLY_STOPPED, evidence, ends_study=EndReason.TARGET)
    spent = trial.study_num_epochs + tx.spent(trial.study_id)
    if budget.max_total_epochs is not None and spent >= budget.max_total_epochs:
        evidence = {"rule": "max_total_epochs", "epoch": epoch, "value": spent, "threshold": budget.max_total_epochs}
        end = EndReason.MAX_TOTAL_EPOCHS
        return _stop(tx, trial, TrialState.CANCELLED, StopReason.CANCELLED, evidence, ends_study=end)
    if epoch >= budget.max_epochs:
        if epoch == budget.max_epochs:
            return _GO_ON  # The worker ends by itself and says how.
        evidence = {"rule": "max_epochs", "epoch": epoch, "threshold": budget.max_epochs}
        return _stop(tx, trial, TrialState.COMPLETE, StopReason.MAX_EPOCHS, evidence)
    if rules.is_overdue(budget, started_at=trial.leased_at, now=tx.now):
        evidence = {"rule": "max_trial_seconds", "epoch": epoch, "threshold": budget.max_trial_seconds}
        return _stop(tx, trial, TrialState.COMPLETE, StopReason.TIME_LIMIT, evidence)
    verdict = search.judge(trial.number, epoch, tx.reported[trial.id])
    if verdict.decision is Decision.STOP:
        return _stop(tx, trial, TrialState.PRUNED, StopReason.PRUNED, verdict.evidence)
    return verdict


def _stop(
    tx: Transaction,
    trial: Record,
    state: TrialState,
    reason: StopReason,
    evidence: Any,
    *,
    ends_study: EndReason | None = None,
) -> Verdict:
    ending.end_trial(tx, trial, state, reason, how=AttemptEnd.STOPPED, evidence=evidence)
    if ends_study is not None:
        ending.end_study(tx, trial.study_id, ends_study, spare_id=trial.id)
    else:
        ending.settle_study(tx, trial.study_id)
    return Verdict(Decision.STOP, evidence)


def _after_the_end(tx: Transaction, trial: Record, item: Measurement) -> TrialDecision:
    # The answer that said "stop" may have been lost: the same report gets the same answer, and nothing else does.
    attempt = leases.attempt_of_token(tx, trial.id, item.lease)
    if attempt is not None and attempt.end == AttemptEnd.STOPPED:
        stored = measurements.find(tx, trial.id, attempt.attempt, item.epoch)
        if stored is not None and stored.metrics == item.metrics:
            rule = (trial.evidence or {}).get("rule", trial.stop_reason)
            return TrialDecision(trial_id=trial.id, decision=Decision.STOP, reason=rule)
    raise LeaseLost(f"the lease of trial {trial.id} is not its current one; drop this run, nothing was changed")
