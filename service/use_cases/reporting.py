"""Taking measurements and deciding, epoch by epoch, whether their trials go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from caviar.contract.errors import (
    CaviarError,
    FieldError,
    Forbidden,
    InvalidRequest,
    LeaseLost,
    NotFound,
    ReportConflict,
)
from caviar.contract.messages import Measurement, Rejected, ReportAnswer, TrialDecision
from caviar.contract.states import AttemptEnd, Decision, EndReason, StopReason, TrialState
from caviar.contract.study import Metric
from service.domain import rules
from service.domain.principal import Principal, Right
from service.store import leases, measurements, trials
from service.store.standings import Standing
from service.store.transaction import Record, Transaction
from service.use_cases import access, ending, finishing, retention
from service.use_cases.intake import Intake
from service.use_cases.searching import Search, Searches

_DECISIONS = {AttemptEnd.STOPPED: Decision.STOP, AttemptEnd.PAUSED: Decision.PAUSE}
_REFUSALS = (LeaseLost, ReportConflict, NotFound, InvalidRequest)


class Filed(NamedTuple):
    """A report that waits for its commit.

    Attributes:
        actor: Who sent it.
        items: Epochs of any number of trials, those of one trial in the order of their epochs.
    """

    actor: Principal | None
    items: Sequence[Measurement]


class Reporting:
    """Takes all reports that wait for the same commit: a gathering of the group-commit writer."""

    def __init__(self, searches: Searches, *, lease_ttl_s: float) -> None:
        """Decide by these searches.

        Args:
            searches: Of the process.
            lease_ttl_s: Seconds that a renewed lease lasts.
        """
        self._searches = searches
        self._lease_ttl_s = lease_ttl_s

    def __call__(self, tx: Transaction, reports: Sequence[Filed]) -> list[ReportAnswer | CaviarError]:
        """Answer each report, or say what all of its items are refused for; see `report`."""
        named = {item.trial_id for filed in reports for item in filed.items}
        intake = Intake(tx, named, until=tx.now + timedelta(seconds=self._lease_ttl_s))
        answers = [_report(tx, self._searches, intake, filed) for filed in reports]
        intake.store()
        return answers


def report(tx: Transaction, searches: Searches, items: Sequence[Measurement], *, lease_ttl_s: float) -> ReportAnswer:
    """Store epochs of leased trials and decide which of them go on.

    Also renews the leases. Repeating the call with equal arguments changes nothing and gets equal decisions.

    Args:
        items: Epochs of any number of trials, those of one trial in the order of their epochs.
    Returns:
        One decision per trial, after its last item; PAUSE once the trial is stored as `paused`, STOP once it is stored
        as ended.
    Raises:
        LeaseLost: No item was stored, the first one because its token is not the trial's current one (410).
        ReportConflict: No item was stored, the first one because its epoch was reported with other metrics (409).
        NotFound: No item was stored, the first one because there is no such trial (404).
        InvalidRequest: No item was stored, the first one because it lacks the study's metric (422).
        Forbidden: Who acts is no worker (403).
    """
    [answer] = Reporting(searches, lease_ttl_s=lease_ttl_s)(tx, [Filed(tx.actor, items)])
    if isinstance(answer, CaviarError):
        raise answer
    return answer


def _report(tx: Transaction, searches: Searches, intake: Intake, filed: Filed) -> ReportAnswer | CaviarError:
    decisions: dict[int, TrialDecision] = {}
    rejected: list[Rejected] = []
    first_error: CaviarError | None = None
    tx.actor = filed.actor
    try:
        access.check(tx, Right.WORK)
    except Forbidden as error:
        return error
    for item in filed.items:
        try:
            decisions[item.trial_id] = _report_one(tx, searches, intake, item)
        except _REFUSALS as error:
            first_error = first_error or error
            rejected.append(Rejected(trial_id=item.trial_id, epoch=item.epoch, code=error.code, detail=error.detail))
    if first_error is not None and not decisions:
        return first_error
    return ReportAnswer(decisions=list(decisions.values()), rejected=rejected)


@dataclass(frozen=True, slots=True)
class _Ruling:
    """What a trial does after an epoch, and how it is stored.

    Attributes:
        decision: Go on, pause or stop.
        evidence: What the decision rests on; None where there was nothing to decide.
        state: State of a trial that is stopped.
        reason: Why it is.
        ends_study: Why its study ends with it; None if it does not.
    """

    decision: Decision
    evidence: Mapping[str, Any] | None = None
    state: TrialState = TrialState.PRUNED
    reason: StopReason = StopReason.PRUNED
    ends_study: EndReason | None = None


_GO_ON = _Ruling(Decision.CONTINUE)


def _report_one(tx: Transaction, searches: Searches, intake: Intake, item: Measurement) -> TrialDecision:
    trial = intake.standing(item.trial_id)
    if trial.token != item.lease:
        intake.store()
        return _after_the_end(tx, searches, trials.with_lease(tx, item.trial_id), item)
    search = searches.knowing(tx, trial.study.id, trial.study.last_seq)
    _require_metric(search, item)
    ruling = _GO_ON
    # An epoch above the last one cannot have been reported before; only others are looked up.
    if item.epoch > trial.num_epochs or not _is_equal_repeat(tx, intake, trial, item):
        ruling = _rule(tx, search, trial, item)
        _note(tx, intake, trial, item, metric=search.spec.metric, ruling=ruling)
    if ruling.decision is Decision.CONTINUE:
        intake.renew(trial)
        return TrialDecision(trial_id=trial.id, decision=Decision.CONTINUE)
    intake.store()
    row = trials.with_lease(tx, trial.id)
    has_ended_study = _carry_out(tx, row, item, ruling)
    if has_ended_study:
        intake.forget()
    else:
        intake.close(trial)
    reason = str((ruling.evidence or {}).get("rule"))
    wanted = ruling.decision is Decision.STOP and retention.wants_weights(tx, row, search.spec)
    return TrialDecision(trial_id=trial.id, decision=ruling.decision, reason=reason, keep_weights=wanted)


def _require_metric(search: Search, item: Measurement) -> None:
    name = search.spec.metric.name
    if name not in item.metrics:
        field = FieldError(
            field="metrics",
            received=", ".join(sorted(item.metrics)),
            expected=f"the study's metric {name} among them; report it, or name another metric in the study",
        )
        raise InvalidRequest(f"the measurement of trial {item.trial_id} lacks the metric {name}", errors=[field])


def _is_equal_repeat(tx: Transaction, intake: Intake, trial: Standing, item: Measurement) -> bool:
    intake.store()
    stored = measurements.find(tx, trial.id, trial.attempt, item.epoch)
    if stored is None:
        _require_own_epoch(tx, trial, item)
        return False
    if stored.metrics != item.metrics:
        raise ReportConflict(
            f"epoch {item.epoch} of attempt {trial.attempt} of trial {trial.id} was reported as {stored.metrics}, "
            f"now received {item.metrics}; a stored epoch never changes"
        )
    return True


def _require_own_epoch(tx: Transaction, trial: Standing, item: Measurement) -> None:
    # An epoch below the last one is new only if it was left out; those before the checkpoint are another attempt's.
    first_epoch = leases.first_epoch(tx, trial.id, trial.attempt)
    if item.epoch < first_epoch:
        field = FieldError(
            field="epoch",
            received=item.epoch,
            expected=f"{first_epoch} or later, where attempt {trial.attempt} began; report only what it trains",
        )
        raise InvalidRequest(f"epoch {item.epoch} of trial {trial.id} belongs to an earlier attempt", errors=[field])


def _note(
    tx: Transaction, intake: Intake, trial: Standing, item: Measurement, *, metric: Metric, ruling: _Ruling
) -> None:
    if item.facts is not None:
        leases.tell(tx, trial.id, trial.attempt, facts=finishing.told(item.facts))
    decision = None if ruling.evidence is None else ruling.decision
    intake.note(trial, item, metric, decision=decision, evidence=ruling.evidence)
    if item.checkpoint:
        retention.acknowledge(tx, trial.id, item.epoch)


def _rule(tx: Transaction, search: Search, trial: Standing, item: Measurement) -> _Ruling:
    budget, metric, epoch = search.spec.budget, search.spec.metric, item.epoch
    value = item.metrics[metric.name]
    if rules.reaches(metric, value, budget.target):
        evidence = {"rule": "target", "epoch": epoch, "value": value, "threshold": budget.target}
        return _stop(evidence, TrialState.COMPLETE, StopReason.EARLY_STOPPED, EndReason.TARGET)
    spent = trial.study.num_epochs + tx.spent(trial.study.id) + 1
    if budget.max_total_epochs is not None and spent >= budget.max_total_epochs:
        evidence = {"rule": "max_total_epochs", "epoch": epoch, "value": spent, "threshold": budget.max_total_epochs}
        return _stop(evidence, TrialState.CANCELLED, StopReason.CANCELLED, EndReason.MAX_TOTAL_EPOCHS)
    if item.is_last or epoch == budget.max_epochs:
        return _GO_ON  # The worker ends by itself and says how.
    if epoch > budget.max_epochs:
        evidence = {"rule": "max_epochs", "epoch": epoch, "threshold": budget.max_epochs}
        return _stop(evidence, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    if trial.leased_at is not None and rules.is_overdue(budget, started_at=trial.leased_at, now=tx.now):
        evidence = {"rule": "max_trial_seconds", "epoch": epoch, "threshold": budget.max_trial_seconds}
        return _stop(evidence, TrialState.COMPLETE, StopReason.TIME_LIMIT)
    verdict = search.judge(trial.number, epoch, {**tx.reported[trial.id], epoch: value})
    return _GO_ON if verdict.evidence is None else _Ruling(verdict.decision, verdict.evidence)


def _stop(
    evidence: Mapping[str, Any], state: TrialState, reason: StopReason, ends_study: EndReason | None = None
) -> _Ruling:
    return _Ruling(Decision.STOP, evidence, state, reason, ends_study)


def _carry_out(tx: Transaction, trial: Record, item: Measurement, ruling: _Ruling) -> bool:
    if ruling.decision is Decision.PAUSE:
        ending.pause_trial(tx, trial, item.epoch, ruling.evidence)
    else:
        ending.end_trial(tx, trial, ruling.state, ruling.reason, how=AttemptEnd.STOPPED, evidence=ruling.evidence)
    if ruling.ends_study is not None:
        ending.end_study(tx, trial.study_id, ruling.ends_study, spare_id=trial.id)
        return True
    return ending.settle_study_of(tx, trial)


def _after_the_end(tx: Transaction, searches: Searches, trial: Record, item: Measurement) -> TrialDecision:
    # The answer that ended the run may have been lost: the same report gets the same answer, and nothing else does.
    attempt = leases.attempt_of_token(tx, trial.id, item.lease)
    if attempt is not None and attempt.end in _DECISIONS:
        stored = measurements.find(tx, trial.id, attempt.attempt, item.epoch)
        if stored is not None and stored.metrics == item.metrics:
            rule = (stored.evidence or trial.evidence or {}).get("rule", trial.stop_reason)
            decision = _DECISIONS[attempt.end]
            is_stopped = decision is Decision.STOP and TrialState(trial.state).is_finished
            is_newest = is_stopped and attempt.attempt == trial.attempt
            wanted = is_newest and retention.wants_weights(tx, trial, searches.of(trial.study_id).spec)
            return TrialDecision(trial_id=trial.id, decision=decision, reason=rule, keep_weights=wanted)
    raise LeaseLost(f"the lease of trial {trial.id} is not its current one; drop this run, nothing was changed")
