"""Rules of trials and budgets: pure functions of what is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from caviar.contract.states import EndReason, Outcome, StopReason
from caviar.contract.study import Budget, Metric


def fold(
    metric: Metric, value: float | None, best_epoch: int | None, new_value: float, new_epoch: int
) -> tuple[float, int]:
    """Best value and its epoch after one more measurement; of equal values the earliest epoch counts."""
    if value is None or best_epoch is None or metric.better(new_value, value):
        return new_value, new_epoch
    if new_value == value:
        return value, min(best_epoch, new_epoch)
    return value, best_epoch


def best_of(metric: Metric, curve: Mapping[int, float]) -> tuple[float | None, int | None]:
    """Best value of a curve and its first epoch; None of an empty one."""
    best: tuple[float | None, int | None] = (None, None)
    for epoch, value in sorted(curve.items()):
        best = fold(metric, *best, value, epoch)
    return best


def reaches(metric: Metric, value: float, target: float | None) -> bool:
    """Whether a value is as good as the target, or better."""
    return target is not None and not metric.better(target, value)


def exhausted(
    budget: Budget, *, num_trials: int, num_epochs: int, created_at: datetime, now: datetime, num_stagnant: int = 0
) -> EndReason | None:
    """The limit that forbids a study any new trial; None if none does.

    Args:
        budget: The limits.
        num_trials: Trials created, imported ones left out.
        num_epochs: Epochs reported.
        created_at: When the study was.
        now: The time.
        num_stagnant: Trials that ended or paused since the study's best value.
    """
    if budget.max_seconds is not None and now >= created_at + timedelta(seconds=budget.max_seconds):
        return EndReason.MAX_SECONDS
    if budget.max_total_epochs is not None and num_epochs >= budget.max_total_epochs:
        return EndReason.MAX_TOTAL_EPOCHS
    if budget.max_trials is not None and num_trials >= budget.max_trials:
        return EndReason.MAX_TRIALS
    if budget.max_stagnant_trials is not None and num_stagnant >= budget.max_stagnant_trials:
        return EndReason.STAGNATION
    return None


def is_overdue(budget: Budget, *, started_at: datetime, now: datetime) -> bool:
    """Whether an attempt has used up its seconds."""
    return budget.max_trial_seconds is not None and now >= started_at + timedelta(seconds=budget.max_trial_seconds)


def may_retry(retries: int, num_charged: int) -> bool:
    """Whether a trial of which `num_charged` attempts were lost or failed is run again."""
    return num_charged <= retries


FAILURES: Mapping[Outcome, StopReason] = {
    Outcome.FAILED: StopReason.ERROR,
    Outcome.STALLED: StopReason.TIME_LIMIT,
    Outcome.OUT_OF_MEMORY: StopReason.INFEASIBLE,
    Outcome.DIVERGED: StopReason.DIVERGED,
    Outcome.INFEASIBLE: StopReason.INFEASIBLE,
}
"""Why a trial ends that its worker did not complete."""

RETRIED = frozenset({Outcome.FAILED, Outcome.STALLED})
"""Outcomes that another attempt may not repeat; a divergence or an infeasible configuration comes back. Who ran out of
memory beside others is tried once more alone, whatever the retries."""


def derived_seed(study_seed: int, purpose: str, number: int = 0) -> int:
    """A seed in [0, 2**31) for one purpose of one trial, the same on every machine and after every restart."""
    digest = hashlib.sha256(f"caviar:{study_seed}:{purpose}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
