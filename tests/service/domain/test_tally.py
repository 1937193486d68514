"""Counting values in buckets."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from service.domain.tally import Tally


def test_a_value_on_a_bound_belongs_below_it() -> None:
    tally = Tally((1, 2))
    for value in (0.5, 1, 1.5, 2, 3):
        tally.add(value)
    assert list(tally.cumulated()) == [(1, 2), (2, 4), (inf, 5)]
    assert tally.num_values == 5
    assert tally.total == 8.0


@given(st.lists(st.floats(min_value=0, max_value=100)))
def test_each_bound_holds_what_is_not_above_it(values: list[float]) -> None:
    tally = Tally((0, 0.1, 7, 99))
    for value in values:
        tally.add(value)
    assert all(count == sum(value <= bound for value in values) for bound, count in tally.cumulated())
    assert tally.num_values == len(values)
