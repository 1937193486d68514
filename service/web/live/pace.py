"""How often views are rendered: all of them together take a bounded share of the time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
Timed = Callable[[], tuple[T, float]]
"""Computes something and tells the processor seconds that it took."""

_BURST_S = 0.2


class Pace:
    """Lets one rendering run at a time, in the order of asking, and makes them wait once they have cost too much.

    The allowance grows with time and is spent by renderings; a costly one among cheap ones is paid off little by
    little instead of by one long wait.

    Attributes:
        num_turns: Renderings so far.
        spent_s: Processor seconds that they took.
    """

    def __init__(
        self,
        share: float,
        *,
        burst_s: float = _BURST_S,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Start with the full allowance.

        Args:
            share: Of one processor, in (0, 1].
            burst_s: Processor seconds that may be spent at once after a rest.
            clock: Tells seconds; tests put their own.
            rest: Lets so many of them pass; likewise.
        """
        self._share, self._burst_s = share, burst_s
        self._clock, self._rest = clock, rest
        self._turn = asyncio.Lock()
        self._allowance_s = burst_s
        self._counted_at = -math.inf
        self.num_turns = 0
        self.spent_s = 0.0

    async def run(self, compute: Timed[T]) -> T:
        """Compute in a thread once it is this one's turn."""
        async with self._turn:
            await self._rest(self.wait_s)
            result, cost_s = await asyncio.to_thread(compute)
            self._allowance_s = self._allowance() - cost_s
            self.num_turns += 1
            self.spent_s += cost_s
        return result

    @property
    def wait_s(self) -> float:
        """Seconds until the allowance lets something be rendered again; 0 if it does now."""
        return max(0.0, -self._allowance() / self._share)

    def _allowance(self) -> float:
        now = self._clock()
        grown = self._allowance_s + self._share * (now - self._counted_at)
        self._allowance_s, self._counted_at = min(grown, self._burst_s), now
        return self._allowance_s
