"""Waits grow, have jitter, and end at their limit."""

from __future__ import annotations

import random

from worker.backoff import Backoff


def test_waits_double_up_to_the_limit_with_at_most_half_of_them_jitter() -> None:
    backoff = Backoff(random.Random(1), first_s=1.0, max_s=5.0)
    for ceiling_s in (1.0, 2.0, 4.0, 5.0, 5.0):
        assert ceiling_s / 2 <= backoff.next_s() <= ceiling_s


def test_a_success_begins_anew() -> None:
    backoff = Backoff(random.Random(1), first_s=1.0, max_s=64.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_workers_do_not_come_back_together() -> None:
    waits = {Backoff(random.Random(seed)).next_s() for seed in range(20)}
    assert len(waits) == 20


def test_what_the_service_asks_for_is_waited_for_up_to_the_longest_wait() -> None:
    backoff = Backoff(random.Random(0), first_s=1.0, max_s=8.0)
    assert 5.0 <= backoff.next_s(5.0) <= 5.5
    assert backoff.next_s(0.0) <= 2.0
    assert 8.0 <= backoff.next_s(3600.0) <= 10.0
