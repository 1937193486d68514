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

    def next_s(self, at_least_s: float | None = None) -> float:
        """Seconds to wait now: between half the ceiling and the ceiling, which then doubles.

        Args:
            at_least_s: What the service asks for, which counts up to the longest wait; None if it does not say.
        """
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(self._max_s, 2 * ceiling_s)
        jitter = self._rng.random()
        asked_s = min(at_least_s or 0.0, self._max_s)
        return max(ceiling_s / 2, asked_s) + jitter * ceiling_s / 2

    def reset(self) -> None:
        """Begin again with the shortest wait, after a success."""
        self._ceiling_s = self._first_s
