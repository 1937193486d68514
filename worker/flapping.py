"""Keep a slot in which everything fails at once from burning through the trials of a study."""

from __future__ import annotations

import math
from dataclasses import dataclass

QUICK_S = 10.0
_MAX_IN_A_ROW = 3
_FIRST_PAUSE_S = 30.0
_LONGEST_PAUSE_S = 1800.0


@dataclass
class Guard:
    """Counts the quick failures of a slot: after three in a row it pauses, then has one trial on probation.

    Every failure on probation doubles the pause, up to half an hour; a success begins the count anew.

    Attributes:
        paused_until: Reading of the monotonic clock.
        detail: The last failure, in words.
    """

    paused_until: float = -math.inf
    detail: str | None = None
    _num_failures: int = 0
    _next_pause_s: float = _FIRST_PAUSE_S

    def is_paused(self, now: float) -> bool:
        """Whether the slot gets nothing now."""
        return now < self.paused_until

    def fail(self, now: float, detail: str) -> float | None:
        """Count a quick failure.

        Returns:
            Seconds of the pause that begins now; None if none does.
        """
        self.detail = detail
        self._num_failures += 1
        return self.pause(now, detail) if self._num_failures >= _MAX_IN_A_ROW else None

    def pause(self, now: float, detail: str) -> float:
        """Pause at once, as after three failures.

        Returns:
            Seconds of the pause.
        """
        self.detail = detail
        self._num_failures = max(self._num_failures, _MAX_IN_A_ROW)
        pause_s = self._next_pause_s
        self.paused_until = now + pause_s
        self._next_pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return pause_s

    def succeed(self) -> None:
        """The slot works: forget all failures."""
        self.paused_until, self.detail = -math.inf, None
        self._num_failures, self._next_pause_s = 0, _FIRST_PAUSE_S
