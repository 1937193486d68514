"""Lines of fewer points that look the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.domain.thinning import kept

values = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=300)


@given(values, st.integers(4, 400))
def test_ends_and_extremes_stay_within_the_limit(line: list[float], limit: int) -> None:
    places = kept(line, limit)
    assert len(places) <= max(limit, 4)
    assert places == sorted(set(places))
    assert {places[0], places[-1]} == {0, len(line) - 1}
    assert min(line[place] for place in places) == min(line)
    assert max(line[place] for place in places) == max(line)


def test_a_short_line_stays_whole() -> None:
    assert kept([3.0, 1.0, 2.0], 4) == [0, 1, 2]


def test_a_spike_stays_where_it_is() -> None:
    line = [0.0] * 1000
    line[637] = 5.0
    assert 637 in kept(line, 20)
