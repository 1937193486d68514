"""What the service has not acknowledged yet, on disk: it outlives the service's absence and the worker's death."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from caviar.contract.messages import Finish, Measurement, Release

_log = structlog.get_logger(__name__)
_MAX_MESSAGE_CHARACTERS = 500
_PASSING = (
    "SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_NOMEM", "SQLITE_PERM",
    "SQLITE_READONLY",
)  # fmt: skip
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
    waits INTEGER NOT NULL DEFAULT 0,
    is_rung INTEGER NOT NULL DEFAULT 0,
    UNIQUE (lease, epoch)
) STRICT;
CREATE TABLE IF NOT EXISTS weights (
    lease TEXT PRIMARY KEY,
    trial_id INTEGER NOT NULL,
    is_wanted INTEGER NOT NULL DEFAULT 0
) STRICT;
"""
# Of a file that an older worker has left: its letters went without waiting for their checkpoints.
_ADDED = ("waits", "is_rung")
_INDEX = "CREATE INDEX IF NOT EXISTS waiting ON measurements (lease, id) WHERE waits = 1"
_RESOLVE = (
    "UPDATE measurements SET waits = 0, body = json_set(body, '$.checkpoint', json(iif(?1, 'true', 'false')))"
    " WHERE id = ?2 AND waits = 1"
)


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
class Weights:
    """The weights that an attempt may leave, once its lease is gone.

    Attributes:
        is_wanted: Whether the service wants them; else they are to be deleted.
    """

    lease: str
    trial_id: int
    is_wanted: bool


@dataclass(frozen=True)
class Ending:
    """The last word on a trial, once all its measurements are delivered."""

    trial_id: int
    lease: str
    message: Finish | Release


class OutboxBroken(Exception):
    """A file is no outbox (any more); the message says why."""


class Outbox:
    """Leases that this worker holds, with the measurements and endings that are still to be delivered.

    A lease enters with `hold` and leaves with `drop`, taking everything undelivered along. A measurement with a
    checkpoint, and those of its trial that follow it, wait until the checkpoint is at the service or given up. All
    methods may be called from any thread, and each is one transaction.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            OutboxBroken: The file is no outbox, or damaged.
            sqlite3.OperationalError: It cannot be read or written now.
        """
        self._lock = threading.Lock()
        self._own: dict[str, frozenset[int]] = {}
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
            self._check()
        except (sqlite3.DatabaseError, ValueError, TypeError, KeyError) as error:
            self._connection.close()
            # A full disk or a folder without the right to write is no damage: it passes.
            if getattr(error, "sqlite_errorname", "").startswith(_PASSING):
                raise
            raise OutboxBroken(f"{path} is no outbox, or damaged: {error}"[:_MAX_MESSAGE_CHARACTERS]) from error

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        # Survives a kill of the process; the last epochs before a power loss are trained again.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_SCHEMA)
        present = {row[1] for row in self._connection.execute("PRAGMA table_info(measurements)")}
        for column in (name for name in _ADDED if name not in present):
            self._connection.execute(f"ALTER TABLE measurements ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
        self._connection.execute(_INDEX)

    def _check(self) -> None:
        """Read all of it once, so that nothing of it is found to be damaged in the middle of a training."""
        # Not only a quick check, which leaves out whether indexes hold what the tables do.
        [[found]] = self._connection.execute("PRAGMA integrity_check(1)")
        if found != "ok":
            raise sqlite3.DatabaseError(str(found))
        for (body,) in self._connection.execute("SELECT body FROM measurements"):
            Measurement.model_validate_json(body)
        for trial_id, lease, ending, body in self._connection.execute(
            "SELECT trial_id, lease, ending, body FROM leases"
        ):
            _ending(trial_id, lease, ending, body)
        for lease, trial_id, is_wanted in self._connection.execute("SELECT lease, trial_id, is_wanted FROM weights"):
            _ = Weights(str(lease), int(trial_id), bool(is_wanted))

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._lock:
            self._connection.close()

    def hold(self, trial_id: int, lease: str, rungs: Iterable[int] = ()) -> None:
        """Remember a lease until it is dropped.

        Args:
            trial_id: The trial.
            lease: Its token.
            rungs: Epochs at which the trial may be paused: no other checkpoint can stand in for theirs.
        """
        self._own[lease] = frozenset(rungs)
        with self._transaction() as execute:
            execute("INSERT INTO leases (lease, trial_id) VALUES (?, ?) ON CONFLICT DO NOTHING", (lease, trial_id))
            execute("INSERT INTO weights (lease, trial_id) VALUES (?, ?) ON CONFLICT DO NOTHING", (lease, trial_id))

    def put(self, measurement: Measurement) -> None:
        """Add an epoch; nothing happens if it is there already, or if its lease was dropped."""
        is_rung = measurement.epoch in self._own.get(measurement.lease, ())
        self._execute(
            "INSERT INTO measurements (lease, epoch, body, waits, is_rung) SELECT ?1, ?2, ?3, ?4, ?5"
            " WHERE EXISTS (SELECT 1 FROM leases WHERE lease = ?1) ON CONFLICT (lease, epoch) DO NOTHING",
            measurement.lease,
            measurement.epoch,
            measurement.model_dump_json(),
            measurement.checkpoint,
            is_rung and measurement.checkpoint,
        )

    def uploads(self) -> list[Letter]:
        """The measurements whose checkpoints are to go to the service now, at most one of each lease.

        That is the newest one up to the next rung. Those before it are given up: nobody would go on from them. Beyond
        a rung nothing goes until the service has said that the trial goes on.
        """
        with self._transaction() as execute:
            rows = execute(
                "SELECT id, lease, waits, is_rung FROM measurements WHERE waits = 1 OR is_rung = 1 ORDER BY id"
            )
            chosen: dict[str, int] = {}
            behind_rung: set[str] = set()
            for number, lease, waits, is_rung in rows.fetchall():
                if lease in behind_rung:
                    continue
                if waits:
                    if lease in chosen:
                        execute(_RESOLVE, (False, chosen[lease]))
                    chosen[lease] = number
                if is_rung:
                    behind_rung.add(lease)
            ids = json.dumps(list(chosen.values()))
            found = execute(
                "SELECT id, body FROM measurements WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", (ids,)
            ).fetchall()
        return [Letter(number, Measurement.model_validate_json(body)) for number, body in found]

    def resolve(self, letter_id: int, *, is_kept: bool) -> None:
        """Let a measurement go that has waited for its checkpoint.

        Args:
            letter_id: Which one.
            is_kept: Whether the service has the checkpoint; if not, the measurement says that there is none.
        """
        self._execute(_RESOLVE, is_kept, letter_id)

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

        Those that wait for a checkpoint, and all that follow them in their lease, are left out.

        Args:
            limit: How many at most.
        """
        rows = self._execute(
            "SELECT id, body FROM measurements AS letter WHERE NOT EXISTS (SELECT 1 FROM measurements AS first"
            " WHERE first.lease = letter.lease AND first.waits = 1 AND first.id <= letter.id) ORDER BY id LIMIT ?",
            limit,
        )
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
        return [found for row in rows if (found := _ending(*row)) is not None]

    def remove(self, ids: Iterable[int]) -> None:
        """Take out measurements that were acknowledged or refused for good."""
        self._execute("DELETE FROM measurements WHERE id IN (SELECT value FROM json_each(?))", json.dumps(list(ids)))

    def drop(self, lease: str, *, are_weights_wanted: bool = False) -> None:
        """Forget a lease and all that is undelivered of it: it is ended, or lost.

        Args:
            lease: Its token.
            are_weights_wanted: Whether the service wants the weights of its best epoch.
        """
        # Even if the disk is full now: what is not renewed is not asked for again either.
        self._own.pop(lease, None)
        with self._transaction() as execute:
            execute("UPDATE weights SET is_wanted = 1 WHERE lease = ? AND ?", (lease, are_weights_wanted))
            execute("DELETE FROM leases WHERE lease = ?", (lease,))

    def weights(self) -> list[Weights]:
        """What is to become of the weights of all attempts whose leases are gone, oldest first."""
        rows = self._execute(
            "SELECT lease, trial_id, is_wanted FROM weights"
            " WHERE lease NOT IN (SELECT lease FROM leases) ORDER BY rowid"
        )
        return [Weights(lease, trial_id, bool(is_wanted)) for lease, trial_id, is_wanted in rows]

    def forget_weights(self, lease: str) -> None:
        """The weights of an attempt are uploaded, refused for good, or deleted."""
        self._execute("DELETE FROM weights WHERE lease = ?", lease)

    def trials(self) -> set[int]:
        """The trials that are held, or of which something is still to be delivered."""
        return {int(trial_id) for (trial_id,) in self._execute("SELECT trial_id FROM leases")}

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits for delivery."""
        rows = self._execute(
            "SELECT EXISTS (SELECT 1 FROM measurements) OR EXISTS (SELECT 1 FROM leases WHERE ending IS NOT NULL)"
            " OR EXISTS (SELECT 1 FROM weights WHERE is_wanted)"
        )
        return not rows[0][0]

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        # The lock is released last: leaving the connection's block commits, or takes everything back.
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection.execute

    def _execute(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def _ending(trial_id: Any, lease: Any, ending: Any, body: Any) -> Ending | None:
    kinds: dict[str, type[Finish] | type[Release]] = {"finish": Finish, "release": Release}
    return None if ending is None else Ending(int(trial_id), str(lease), kinds[ending].model_validate_json(body))


def open_outbox(folder: Path) -> Outbox:
    """The outbox of a worker's folder.

    One that is damaged is put aside, for somebody to look into, and an empty one takes its place: the leases that it
    held lapse, and their trials are trained again elsewhere.
    """
    path = folder / "outbox.db"
    try:
        return Outbox(path)
    except OutboxBroken as error:
        aside = next(found for n in itertools.count(1) if not (found := folder / f"outbox-broken-{n}.db").exists())
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        _log.error("outbox_broken", detail=str(error), aside=str(aside), reason="what it held was not delivered")
        return Outbox(path)
