"""Fewer points for the same picture."""

from __future__ import annotations

from collections.abc import Sequence


def kept(values: Sequence[float], limit: int) -> list[int]:
    """Places of the values that a line of few points keeps: the first, the last, and all extremes that can be seen.

    The places are divided into ranges of equal length, and of each range the least and the greatest value stay. So the
    least and the greatest value of all stay as well, and with them the best one.

    Args:
        values: In the order of drawing.
        limit: Places to keep at most, at least 4; with no more values than that, all stay.

    Returns:
        Places from 0, rising.

    Source: Jugel et al. 2014, "M4: A Visualization-Oriented Time Series Data Aggregation", the minimum and maximum of
        each group, with the first and last value of the whole line.
    """
    num = len(values)
    if num <= limit:
        return list(range(num))
    num_ranges = (limit - 2) // 2
    found = {0, num - 1}
    for index in range(num_ranges):
        places = range(num * index // num_ranges, num * (index + 1) // num_ranges)
        found.add(min(places, key=values.__getitem__))
        found.add(max(places, key=values.__getitem__))
    return sorted(found)
