"""A clock that one process moves and another reads, through a file that both have mapped."""

from __future__ import annotations

import mmap
import struct
from datetime import timedelta
from pathlib import Path

from service.use_cases.service import Clock

_SECONDS = struct.Struct("<d")


class MovableClock:
    """By how many seconds a test has moved all clocks of the services."""

    def __init__(self, path: Path) -> None:
        """Use a file, which is made if there is none."""
        if not path.exists():
            path.write_bytes(_SECONDS.pack(0.0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SECONDS.size)

    @property
    def offset_s(self) -> float:
        """Seconds by which the clocks are ahead."""
        return float(_SECONDS.unpack(self._memory[:])[0])

    def move(self, seconds: float) -> None:
        """Move them at once, forward or back."""
        self._memory[:] = _SECONDS.pack(self.offset_s + seconds)

    def moved(self, clock: Clock) -> Clock:
        """Another clock, moved as this one is."""
        return lambda: clock() + timedelta(seconds=self.offset_s)
