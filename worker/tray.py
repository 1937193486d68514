"""What goes to the outbox, and waits in memory while the disk takes nothing."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from caviar.contract.messages import Finish, Measurement, Release
from worker.outbox import Outbox

_log = structlog.get_logger(__name__)


class Tray:
    """Writes leases, measurements and endings to the outbox in order; used by one thread only.

    A full or failing disk loses nothing while this process lives: what cannot be written waits here.
    """

    def __init__(self, outbox: Outbox) -> None:
        """Begin with nothing that waits.

        Args:
            outbox: Where everything goes.
        """
        self._outbox = outbox
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether everything is written."""
        return not self._waiting

    def hold(self, trial_id: int, lease: str, rungs: Sequence[int] = ()) -> None:
        """Remember a lease until it is dropped, and at which epochs its trial may be paused."""
        self._write(lease, lambda: self._outbox.hold(trial_id, lease, rungs))

    def put(self, measurement: Measurement) -> None:
        """Add an epoch."""
        self._write(measurement.lease, lambda: self._outbox.put(measurement))

    def end(self, message: Finish | Release) -> None:
        """Set the last word on a held lease."""
        self._write(message.lease, lambda: self._outbox.end(message))

    def forget(self, lease: str) -> None:
        """Drop what still waits of a lease that is gone."""
        self._waiting = deque(item for item in self._waiting if item[0] != lease)

    def retry(self) -> None:
        """Write what waits, as far as that goes now."""
        if not self._waiting:
            return
        while self._waiting:
            try:
                self._waiting[0][1]()
            except sqlite3.OperationalError:
                return
            self._waiting.popleft()
        _log.info("disk_writes_again")

    def _write(self, lease: str, write: Callable[[], None]) -> None:
        if not self._waiting:
            try:
                write()
            except sqlite3.OperationalError as error:
                _log.error("disk_takes_nothing", detail=str(error), reason="reports wait in memory until it does")
            else:
                return
        self._waiting.append((lease, write))
