"""A clock that one process moves and another reads, through a file that both have mapped."""

from __future__ import annotations

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SECONDS = struct.Struct("<d")


class MovableClock:
    """The system's time, and by how many seconds a test has moved it."""

    def __init__(self, path: Path) -> None:
        """Use a file, which is made if there is none."""
        if not path.exists():
            path.write_bytes(_SECONDS.pack(0.0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SECONDS.size)

    @property
    def offset_s(self) -> float:
        """Seconds by which it is ahead of the system's clock."""
        return float(_SECONDS.unpack(self._memory[:])[0])

    def move(self, seconds: float) -> None:
        """Move it at once, forward or back."""
        self._memory[:] = _SECONDS.pack(self.offset_s + seconds)

    def __call__(self) -> datetime:
        """The time that it tells."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_s)
