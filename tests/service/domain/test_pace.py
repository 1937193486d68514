"""The estimate of the time left: from the pace so far, against the nearest limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from caviar.contract.states import TrialState
from caviar.contract.study import Budget
from service.domain import pace

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_COMPLETE, _PAUSED, _RUNNING, _WAITING = (
    TrialState.COMPLETE,
    TrialState.PAUSED,
    TrialState.RUNNING,
    TrialState.WAITING,
)


def left(budget: Budget, counts: dict[TrialState, int], **facts: Any) -> float | None:
    """The estimate 100 s after the first trial began and 200 s after the study was created."""
    known: dict[str, Any] = {
        "num_imported": 0,
        "num_epochs": 0,
        "begun_at": _NOW - timedelta(seconds=100),
        "created_at": _NOW - timedelta(seconds=200),
        "now": _NOW,
    }
    return pace.seconds_left(budget, counts=counts, **(known | facts))


@pytest.mark.parametrize(
    ("budget", "counts", "facts", "expected"),
    [
        # Ten trials in 100 s: 30 more take 300 s, whatever runs among them.
        (Budget(max_trials=40), {_COMPLETE: 10}, {}, 300.0),
        (Budget(max_trials=40), {_COMPLETE: 6, _PAUSED: 4, _RUNNING: 8}, {}, 300.0),
        # Imported trials took no time and count against no limit.
        (Budget(max_trials=40), {_COMPLETE: 510}, {"num_imported": 500}, 300.0),
        # All are created; two of them go on after a pause.
        (Budget(max_trials=10), {_COMPLETE: 4, _PAUSED: 4, _RUNNING: 2}, {}, 25.0),
        (Budget(max_trials=8), {_PAUSED: 8, _WAITING: 2}, {}, 25.0),
        # The nearest limit counts.
        (Budget(max_trials=40, max_total_epochs=60), {_COMPLETE: 10}, {"num_epochs": 50}, 20.0),
        (Budget(max_trials=40, max_seconds=230.0), {_COMPLETE: 10}, {}, 30.0),
        (Budget(max_trials=40, max_seconds=150.0), {_COMPLETE: 10}, {}, 0.0),
        (Budget(max_trials=None, max_total_epochs=60), {_COMPLETE: 10}, {"num_epochs": 80}, 0.0),
    ],
)
def test_the_pace_so_far_goes_on(
    budget: Budget, counts: dict[TrialState, int], facts: dict[str, Any], expected: float
) -> None:
    assert left(budget, counts, **facts) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("counts", "facts"),
    [
        ({}, {"begun_at": None}),
        ({_RUNNING: 4}, {"num_epochs": 20}),
        ({_COMPLETE: 5, _RUNNING: 1}, {"num_imported": 5}),
        ({_COMPLETE: 5}, {"num_imported": 5, "begun_at": None}),
    ],
)
def test_nothing_is_told_before_a_trial_has_ended(counts: dict[TrialState, int], facts: dict[str, Any]) -> None:
    assert left(Budget(max_trials=40, max_seconds=1000.0), counts, **facts) is None
