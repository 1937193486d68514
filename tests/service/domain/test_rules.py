"""Rules of trials and budgets, against plain definitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import EndReason
from caviar.contract.study import Budget, Metric
from service.domain import rules

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_VALUES = st.floats(allow_nan=False, allow_infinity=False)
_METRICS = st.sampled_from([Metric(), Metric(name="val_accuracy", direction="maximize")])


@given(_METRICS, st.dictionaries(st.integers(1, 50), _VALUES, min_size=1), st.randoms())
def test_the_best_value_does_not_depend_on_the_order_of_arrival(
    metric: Metric, curve: dict[int, float], shuffle: Random
) -> None:
    best = min(curve.values()) if metric.direction == "minimize" else max(curve.values())
    expected = (best, min(epoch for epoch, value in curve.items() if value == best))
    epochs = list(curve)
    shuffle.shuffle(epochs)
    value: float | None = None
    best_epoch: int | None = None
    for epoch in epochs:
        value, best_epoch = rules.fold(metric, value, best_epoch, curve[epoch], epoch)
    assert (value, best_epoch) == expected


@given(_METRICS, _VALUES, _VALUES)
def test_a_target_is_reached_by_a_value_as_good_or_better(metric: Metric, value: float, target: float) -> None:
    expected = value <= target if metric.direction == "minimize" else value >= target
    assert rules.reaches(metric, value, target) is expected
    assert not rules.reaches(metric, value, None)


@pytest.mark.parametrize(
    ("budget", "spent", "expected"),
    [
        (Budget(max_trials=5), {"num_trials": 4}, None),
        (Budget(max_trials=5), {"num_trials": 5}, EndReason.MAX_TRIALS),
        (Budget(max_trials=None, max_total_epochs=100), {"num_epochs": 99}, None),
        (Budget(max_trials=None, max_total_epochs=100), {"num_epochs": 100}, EndReason.MAX_TOTAL_EPOCHS),
        (Budget(max_seconds=60.0), {"age_s": 59.9}, None),
        (Budget(max_seconds=60.0), {"age_s": 60.0}, EndReason.MAX_SECONDS),
        (Budget(max_trials=5, max_seconds=60.0), {"num_trials": 5, "age_s": 61.0}, EndReason.MAX_SECONDS),
    ],
)
def test_a_limit_forbids_new_trials_once_it_is_reached(
    budget: Budget, spent: dict[str, float], expected: EndReason | None
) -> None:
    found = rules.exhausted(
        budget,
        num_trials=int(spent.get("num_trials", 0)),
        num_epochs=int(spent.get("num_epochs", 0)),
        created_at=_NOW - timedelta(seconds=spent.get("age_s", 0.0)),
        now=_NOW,
    )
    assert found is expected


def test_an_attempt_is_overdue_when_its_seconds_are_over() -> None:
    budget = Budget(max_trial_seconds=10.0)
    assert not rules.is_overdue(budget, started_at=_NOW, now=_NOW + timedelta(seconds=9.9))
    assert rules.is_overdue(budget, started_at=_NOW, now=_NOW + timedelta(seconds=10))
    assert not rules.is_overdue(Budget(), started_at=_NOW, now=_NOW + timedelta(days=10))


def test_a_trial_is_run_once_more_for_every_retry() -> None:
    assert [rules.may_retry(2, charged) for charged in (1, 2, 3)] == [True, True, False]
    assert not rules.may_retry(0, 1)


def test_seeds_are_spread_and_repeatable() -> None:
    seeds = {rules.derived_seed(study, "training", number) for study in range(20) for number in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert rules.derived_seed(7, "training", 3) == rules.derived_seed(7, "training", 3)
    assert rules.derived_seed(7, "training", 3) != rules.derived_seed(7, "data", 3)
