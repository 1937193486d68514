"""How long to wait before asking again."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double from `first_s` to `max_s`, with jitter so that many workers do not come back at once.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("equal jitter").
    """

    def __init__(self, rng: random.Random, *, first_s: float = 0.25, max_s: float = 15.0) -> None:
        """Start with the shortest wait.

        Args:
            rng: Where the jitter comes from.
            first_s: Longest first wait, in seconds.
            max_s: Longest wait, in seconds.
        """
        self._rng = rng
        self._first_s = first_s
        self._max_s = max_s
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """Seconds to wait now: between half the ceiling and the ceiling, which then doubles."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(self._max_s, 2 * ceiling_s)
        return ceiling_s / 2 + self._rng.random() * ceiling_s / 2

    def reset(self) -> None:
        """Begin again with the shortest wait, after a success."""
        self._ceiling_s = self._first_s
