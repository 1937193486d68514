"""Copies of an embedded database, made while a service writes to it, and put in its place."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from caviar.contract.errors import InvalidRequest, StateConflict, Unavailable

# 4 MiB of SQLite's default pages.
_STEP_PAGES = 1024
_BUSY_TIMEOUT_S = 30.0


def opened(path: Path, *, is_immutable: bool = False) -> sqlite3.Connection:
    """A plain connection to a file that exists; transactions are begun by hand.

    Args:
        path: The file.
        is_immutable: Nobody writes to it, and nothing may be made beside it.
    Raises:
        InvalidRequest: There is no such file.
    """
    if not path.is_file():
        raise InvalidRequest(f"there is no database at {path}; name the file of an existing one")
    mode = "immutable=1" if is_immutable else "mode=rw"
    address = f"file:{quote(str(path.absolute()))}?{mode}"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S)


def copy_out(database: Path, target: Path) -> None:
    """Copy a database as it is now to a new file.

    The copy is made step by step within one reading transaction: in WAL mode that holds up no writer, and nothing that
    is written meanwhile makes it begin anew. After each step it rests for as long as the step took and has its bytes on
    the disk, so that the flushes of the service's commits do not queue behind a large one.

    Raises:
        InvalidRequest: There is no database.
        Unavailable: It cannot be read, or the copy cannot be written.
    """
    with failures_told("the backup"), closing(opened(database)) as source:
        source.execute("BEGIN")
        # The transaction begins with its first read; all steps see this state.
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        target.touch(mode=0o600)
        with target.open("rb") as file, closing(sqlite3.connect(target, isolation_level=None)) as copy:
            for pragma in ("journal_mode=OFF", "synchronous=OFF"):
                copy.execute(f"PRAGMA {pragma}")
            began = time.monotonic()

            def rest(_status: int, remaining: int, _total: int) -> None:
                nonlocal began
                os.fsync(file.fileno())
                if remaining:
                    time.sleep(time.monotonic() - began)
                began = time.monotonic()

            source.backup(copy, pages=_STEP_PAGES, progress=rest)
        source.execute("ROLLBACK")
        settle(target)


def settle(path: Path) -> None:
    """Bring all of a database into its one file, and the file to the disk.

    Raises:
        StateConflict: Somebody else has it open.
    """
    with closing(opened(path)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError as error:
            raise StateConflict(f"{path} is in use ({error}); stop the service that uses it first") from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def put_in_place(staged: Path, database: Path) -> Path | None:
    """Move a database that is ready to its place; what was there stays beside it under another name.

    Args:
        staged: The database, on the same file system.
        database: Its place.
    Returns:
        Where the former one lies now; None if there was none.
    Raises:
        StateConflict: The former one is in use.
    """
    former = None
    if database.exists():
        settle(database)
        former = database.with_name(f"{database.name}.replaced-{time.time_ns() // 1_000_000}")
        database.rename(former)
    for rest in (database.with_name(f"{database.name}-wal"), database.with_name(f"{database.name}-shm")):
        rest.unlink(missing_ok=True)
    staged.rename(database)
    sync_folder(database.parent)
    return former


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def failures_told(what: str) -> Iterator[None]:
    """Raise `Unavailable` in place of SQLite's errors and those of the disk."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"{what} failed: {error}") from error
