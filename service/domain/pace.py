"""How long a study still takes, by its pace so far: a pure function of what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from caviar.contract.states import TrialState
from caviar.contract.study import Budget

_OPEN = (TrialState.WAITING, TrialState.RUNNING)


def seconds_left(
    budget: Budget,
    *,
    counts: Mapping[TrialState, int],
    num_imported: int,
    num_epochs: int,
    begun_at: datetime | None,
    created_at: datetime,
    now: datetime,
) -> float | None:
    """Estimated seconds until a running study reaches the nearest limit of its budget.

    Trials and epochs go on at the mean pace since the first trial began. The estimate knows nothing of targets, of
    gains that stay away, or of workers that come and go.

    Args:
        budget: The limits.
        counts: Trials by state, imported ones included.
        num_imported: Trials that were imported.
        num_epochs: Epochs reported.
        begun_at: When the first trial began; None if none has.
        created_at: When the study was created, from which `max_seconds` counts.
        now: The time.
    Returns:
        None before the first trial has ended or paused, or while no limit can be told.
    """
    num_open = sum(counts.get(state, 0) for state in _OPEN)
    num_settled = sum(counts.values()) - num_open - num_imported
    if begun_at is None or num_settled <= 0:
        return None
    elapsed_s = max((now - begun_at).total_seconds(), 0.0)
    left: list[float] = []
    if budget.max_trials is not None:
        # Once all trials are created, those that run are left; before that, the running ones are among the rest.
        num_left = max(budget.max_trials - num_settled, num_open, 0)
        left.append(elapsed_s / num_settled * num_left)
    if budget.max_total_epochs is not None and num_epochs > 0:
        left.append(elapsed_s / num_epochs * max(budget.max_total_epochs - num_epochs, 0))
    if budget.max_seconds is not None:
        end = created_at + timedelta(seconds=budget.max_seconds)
        left.append(max((end - now).total_seconds(), 0.0))
    return min(left, default=None)
