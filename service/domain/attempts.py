"""How often somebody may try in vain."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MAX_ADDRESSES = 10_000


class Attempts:
    """Counts failures by address; whoever has too many must wait.

    A failure is forgiven after a while, one at a time, so that a person who mistypes goes on at once and a program that
    guesses does not.
    """

    def __init__(self, limit: int, forgiven_every_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """No failures yet.

        Args:
            limit: So many failures may come at once.
            forgiven_every_s: Seconds after which one of them is forgiven.
            clock: Tells seconds.
        """
        self._limit = limit
        self._every_s = forgiven_every_s
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Seconds that an address has to wait; 0 if it may try."""
        return max(0.0, (self._standing(address) - self._limit + 1) * self._every_s)

    def fail(self, address: str) -> None:
        """Count a failure."""
        self._failures[address] = (self._standing(address) + 1, self._clock())
        self._failures.move_to_end(address)
        while len(self._failures) > _MAX_ADDRESSES:
            self._failures.popitem(last=False)

    def _standing(self, address: str) -> float:
        amount, at = self._failures.get(address, (0.0, 0.0))
        return max(0.0, amount - (self._clock() - at) / self._every_s)
