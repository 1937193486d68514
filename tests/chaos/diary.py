"""What a worker knows that it did: one line per fact, on disk before it acts on it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self


class Diary:
    """A file that only grows, and is flushed to the disk with every entry.

    A measurement is written down before it is sent for the first time, and what was said about it after the answer
    came. Times are of the machine's monotonic clock, which all processes share and nobody moves.
    """

    def __init__(self, path: Path) -> None:
        """Go on with a file, or begin it."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        # A kill in the middle of a line leaves its beginning; what follows must not be taken for its end.
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            os.write(self._file, b"\n")

    def write(self, *entries: Mapping[str, Any]) -> None:
        """Add entries, in one go.

        Args:
            entries: Each with `what` it is; its time is added.
        """
        at = time.monotonic()
        lines = "".join(f"{json.dumps({'at': at, **entry})}\n" for entry in entries).encode()
        with self._lock:
            os.write(self._file, lines)
            os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """What a diary holds, the oldest first; lines that a kill has cut are left out."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
