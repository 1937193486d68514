"""What the service has not acknowledged yet, on disk: it outlives the service's absence and the worker's death."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caviar.contract.messages import Finish, Measurement, Release

_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
    lease TEXT PRIMARY KEY,
    trial_id INTEGER NOT NULL,
    ending TEXT CHECK (ending IN ('finish', 'release')),
    body TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS measurements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lease TEXT NOT NULL REFERENCES leases ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (lease, epoch)
) STRICT;
"""


@dataclass(frozen=True)
class Letter:
    """A measurement to deliver.

    Attributes:
        id: Its place in the order of arrival.
        measurement: What goes to the service.
    """

    id: int
    measurement: Measurement


@dataclass(frozen=True)
class Ending:
    """The last word on a trial, once all its measurements are delivered."""

    trial_id: int
    lease: str
    message: Finish | Release


class Outbox:
    """Leases that this worker holds, with the measurements and endings that are still to be delivered.

    A lease enters with `hold` and leaves with `drop`, taking everything undelivered along. All methods may be called
    from any thread, and each is one transaction.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            sqlite3.DatabaseError: The file is no outbox.
        """
        self._lock = threading.Lock()
        self._own: dict[str, None] = {}
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # Survives a kill of the process; the last epochs before a power loss are trained again.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._lock:
            self._connection.close()

    def hold(self, trial_id: int, lease: str) -> None:
        """Remember a lease until it is dropped."""
        self._own[lease] = None
        self._execute("INSERT INTO leases (lease, trial_id) VALUES (?, ?) ON CONFLICT DO NOTHING", lease, trial_id)

    def put(self, measurement: Measurement) -> None:
        """Add an epoch; nothing happens if it is there already, or if its lease was dropped."""
        self._execute(
            "INSERT INTO measurements (lease, epoch, body) SELECT ?1, ?2, ?3"
            " WHERE EXISTS (SELECT 1 FROM leases WHERE lease = ?1) ON CONFLICT (lease, epoch) DO NOTHING",
            measurement.lease,
            measurement.epoch,
            measurement.model_dump_json(),
        )

    def end(self, message: Finish | Release) -> None:
        """Set the last word on a held lease; only the first one counts."""
        kind = "finish" if isinstance(message, Finish) else "release"
        self._execute(
            "UPDATE leases SET ending = ?, body = ? WHERE lease = ? AND ending IS NULL",
            kind,
            message.model_dump_json(),
            message.lease,
        )

    def release_unfinished(self) -> list[str]:
        """Set a release as the last word on every lease that has none: the former worker died while training them.

        Returns:
            The leases concerned.
        """
        rows = self._execute("SELECT lease FROM leases WHERE ending IS NULL")
        leases = [str(lease) for (lease,) in rows]
        for lease in leases:
            self.end(Release(lease=lease))
        return leases

    def leases(self) -> list[str]:
        """The leases that were taken on since this outbox was opened and are still held, oldest first.

        Those of a former worker are left out: the service holds them to be another worker's, and would call them lost.
        """
        return list(self._own)

    def measurements(self, limit: int) -> list[Letter]:
        """The oldest undelivered measurements, in the order of arrival, at most one lease of each trial among them.

        Args:
            limit: How many at most.
        """
        rows = self._execute("SELECT id, body FROM measurements ORDER BY id LIMIT ?", limit)
        letters = [Letter(number, Measurement.model_validate_json(body)) for number, body in rows]
        lease_of: dict[int, str] = {}
        # The service's decisions name trials, so two attempts of one trial never share a request.
        return [
            letter
            for letter in letters
            if lease_of.setdefault(letter.measurement.trial_id, letter.measurement.lease) == letter.measurement.lease
        ]

    def endings(self) -> list[Ending]:
        """The endings of trials whose measurements are all delivered."""
        rows = self._execute(
            "SELECT trial_id, lease, ending, body FROM leases WHERE ending IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM measurements WHERE measurements.lease = leases.lease) ORDER BY rowid"
        )
        kinds: dict[str, type[Finish] | type[Release]] = {"finish": Finish, "release": Release}
        return [
            Ending(trial_id, lease, kinds[ending].model_validate_json(body)) for trial_id, lease, ending, body in rows
        ]

    def remove(self, ids: Iterable[int]) -> None:
        """Take out measurements that were acknowledged or refused for good."""
        self._execute("DELETE FROM measurements WHERE id IN (SELECT value FROM json_each(?))", json.dumps(list(ids)))

    def drop(self, lease: str) -> None:
        """Forget a lease and all that is undelivered of it: it is ended, or lost."""
        self._execute("DELETE FROM leases WHERE lease = ?", lease)
        self._own.pop(lease, None)

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits for delivery."""
        rows = self._execute(
            "SELECT EXISTS (SELECT 1 FROM measurements) OR EXISTS (SELECT 1 FROM leases WHERE ending IS NOT NULL)"
        )
        return not rows[0][0]

    def _execute(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()
