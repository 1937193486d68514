"""When webhooks have something to tell, and when it is told again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.webhooks import WebhookRules
from service.domain import news

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = WebhookRules()


@pytest.mark.parametrize(
    ("patterns", "study", "is_named"),
    [
        (None, "digits", True),
        (["*"], "digits", True),
        (["digits"], "digits", True),
        (["digits"], "digits-2", False),
        (["digits-*"], "digits-2", True),
        (["digits-*"], "digits", False),
        (["a", "d*"], "digits", True),
        ([], "digits", False),
    ],
)
def test_studies_are_named_or_begin_as_said(patterns: list[str] | None, study: str, is_named: bool) -> None:
    assert news.names(patterns, study) is is_named


def test_best_values_of_a_study_are_told_apart_in_time() -> None:
    assert news.best_due_at(RULES, None, NOW) == NOW
    assert news.best_due_at(RULES, NOW - timedelta(seconds=20), NOW) == NOW + timedelta(seconds=40)
    assert news.best_due_at(RULES, NOW - timedelta(seconds=61), NOW) == NOW


@pytest.mark.parametrize(
    ("num_failed", "num_ended", "is_storm"),
    [(4, 4, False), (5, 5, True), (5, 10, True), (5, 11, False), (6, 11, True), (0, 0, False)],
)
def test_a_storm_is_many_failures_and_half_of_what_ended(num_failed: int, num_ended: int, is_storm: bool) -> None:
    assert news.is_storm(RULES, num_failed=num_failed, num_ended=num_ended) is is_storm


@pytest.mark.parametrize(
    ("rules", "trials", "epochs", "is_stagnant"),
    [
        (RULES, 49, 10**9, False),
        (RULES, 50, 0, True),
        (WebhookRules(stagnant_trials=None), 10**6, 10**9, False),
        (WebhookRules(stagnant_trials=None, stagnant_epochs=100), 10**6, 99, False),
        (WebhookRules(stagnant_trials=None, stagnant_epochs=100), 0, 100, True),
        (WebhookRules(stagnant_epochs=100), 3, 100, True),
    ],
)
def test_a_study_stagnates_by_trials_or_by_epochs(
    rules: WebhookRules, trials: int, epochs: int, is_stagnant: bool
) -> None:
    assert news.is_stagnant(rules, num_trials=trials, num_epochs=epochs) is is_stagnant


@given(st.integers(0, 2**32))
def test_a_message_is_sent_again_later_each_time_for_a_day(seed: int) -> None:
    chance = random.Random(seed)
    give_up_at, now, delays = NOW + news.PATIENCE, NOW, []
    for attempts in range(1, 30):
        at = news.next_attempt_at(attempts, now, give_up_at, chance)
        if at is None:
            break
        delays.append((at - now).total_seconds())
        now = at
    assert now <= give_up_at
    assert 9 <= len(delays) <= 14
    assert 4 <= delays[0] <= 6
    assert max(delays) <= 1.2 * 6 * 3600
    assert all(later > earlier for earlier, later in pairwise(delays[:8]))


def test_a_message_whose_time_is_over_is_given_up() -> None:
    assert news.next_attempt_at(1, NOW, NOW, random.Random(1)) is None
    assert news.next_attempt_at(10**6, NOW, NOW + timedelta(days=9), random.Random(1)) is not None
