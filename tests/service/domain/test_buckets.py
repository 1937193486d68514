"""Token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import buckets
from service.domain.buckets import Buckets


def test_a_burst_then_a_steady_rate() -> None:
    each = Buckets(2.0, burst=3)
    assert [each.take("a", 100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert each.take("a", 100.0) == pytest.approx(0.5, abs=0.001)
    assert each.wait_s("a", 100.0) == pytest.approx(0.5, abs=0.001)
    assert each.take("b", 100.0) == 0.0
    assert each.take("a", 100.5) == 0.0
    assert each.take("a", 100.5) > 0.0
    assert [each.take("a", 200.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert each.wait_s("nobody", 0.0) == 0.0


def test_no_rate_is_no_limit() -> None:
    each = Buckets(0.0, burst=1)
    assert {each.take("a", 0.0) for _ in range(1000)} == {0.0}


@given(st.lists(st.floats(min_value=0.0, max_value=5.0), min_size=1, max_size=60), st.integers(1, 10))
def test_never_more_than_the_burst_and_what_time_adds(pauses: list[float], burst: int) -> None:
    each = Buckets(4.0, burst)
    now = taken = 0
    for pause in pauses:
        now += pause  # type: ignore[assignment]
        taken += each.take("a", now) == 0.0
    assert taken <= burst + 4.0 * now + 0.0011


def test_buckets_of_many_clients_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "_MAX_KEYS", 100)
    each = Buckets(1.0, burst=2)
    for number in range(1000):
        assert each.take(number, number / 10) == 0.0
        assert len(each._full_at) <= 100
    still = Buckets(1.0, burst=2)
    for number in range(1000):
        assert still.take(number, 0.0) == 0.0
        assert len(still._full_at) <= 100
