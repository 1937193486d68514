"""Seeing to it that one process alone serves a SQLite file."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caviar.contract.errors import StateConflict
from service.store.engine import parse_url


@contextmanager
def alone(database_url: str) -> Iterator[None]:
    """Keep other processes from a SQLite file; a Postgres database is shared, and nothing happens.

    The lock lies on a file beside the database. The system takes it back when the process ends, however that happens.

    Args:
        database_url: See `parse_url`.
    Raises:
        StateConflict: Another process serves the file, or changes its schema.
        InvalidRequest: The address cannot be used.
    """
    url = parse_url(database_url)
    if url.drivername != "sqlite" or url.database in (None, "", ":memory:"):
        yield
        return
    path = Path(f"{url.database}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateConflict(
                f"another process uses the database {url.database}, which takes one at a time (the lock is on "
                f"{path.name} beside it); stop that process first, or move to Postgres, which many can share"
            ) from error
        yield
