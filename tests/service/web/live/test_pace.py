"""Renderings wait for each other, and for what they have cost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from service.web.live.pace import Pace


def _spend(cost_s: float) -> tuple[None, float]:
    return None, cost_s


class _Clock:
    """Stands still but for the waits of renderings, which it notes."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def rest(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds


def _pace(share: float, burst_s: float) -> tuple[Pace, _Clock]:
    clock = _Clock()
    return Pace(share, burst_s=burst_s, clock=clock, rest=clock.rest), clock


def _run(pace: Pace, costs: list[float]) -> None:
    """Render what costs so many seconds, one after the other."""

    async def story() -> None:
        for cost_s in costs:
            await pace.run(partial(_spend, cost_s))

    asyncio.run(story())


def test_within_the_allowance_nothing_waits() -> None:
    pace, clock = _pace(0.1, burst_s=1.0)
    _run(pace, [0.5, 0.5, 0.0])
    assert clock.waits == [0.0, 0.0, 0.0]


def test_in_the_long_run_renderings_take_their_share() -> None:
    pace, clock = _pace(0.1, burst_s=0.2)
    _run(pace, [0.03] * 100)
    assert pace.spent_s == pytest.approx(3.0)
    assert pace.num_turns == 100
    # Three seconds less the allowance at a tenth; the last one is not paid off.
    assert sum(clock.waits) == pytest.approx((3.0 - 0.2 - 0.03) / 0.1)


def test_a_costly_one_is_paid_off_before_the_next() -> None:
    pace, clock = _pace(0.5, burst_s=0.1)
    _run(pace, [1.1, 0.0, 0.0])
    assert clock.waits == pytest.approx([0.0, 2.0, 0.0])


def test_renderings_do_not_run_at_the_same_time() -> None:
    lock = threading.Lock()

    def compute() -> tuple[bool, float]:
        with_nobody = lock.acquire(blocking=False)
        lock.release()
        return with_nobody, 0.0

    async def story(make: Callable[[], Awaitable[bool]]) -> list[bool]:
        return await asyncio.gather(*(make() for _ in range(20)))

    async def told() -> None:
        pace = Pace(1.0)
        assert await story(lambda: pace.run(compute)) == [True] * 20

    asyncio.run(told())
