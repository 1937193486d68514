"""What a copy of a database holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from service.domain.manifest import BackupDamaged
from service.store.copies.sqlite import opened

_VERSION = "alembic_version"


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in a copy.

    Attributes:
        revision: Its schema.
        rows: Rows by table.
    """

    revision: str
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of the artifact store that a copy tells of."""

    name: str
    size_bytes: int
    sha256: str


def inspect(path: Path) -> Contents:
    """Check that a copy is whole, and count what it holds.

    Raises:
        BackupDamaged: It is not.
    """
    try:
        with closing(opened(path, is_immutable=True)) as connection:
            told = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            if told != ["ok"]:
                raise BackupDamaged(f"the database of the backup is damaged: {'; '.join(told)}")
            astray = connection.execute("PRAGMA foreign_key_check").fetchone()
            if astray is not None:
                raise BackupDamaged(f"the database of the backup is damaged: rows of {astray[0]} belong to nothing")
            if _VERSION not in tables(connection):
                raise BackupDamaged("the database of the backup holds no tables of Caviar")
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            rows = {name: _count(connection, name) for name in tables(connection) if name != _VERSION}
    except sqlite3.DatabaseError as error:
        raise BackupDamaged(f"the database of the backup cannot be read: {error}") from error
    return Contents(revision=str(revision[0]) if revision else "", rows=rows)


def kept_files(path: Path) -> Iterator[KeptFile]:
    """The files of the artifact store that somebody needs, in the order of their rows."""
    with closing(opened(path, is_immutable=True)) as connection:
        if "artifacts" not in tables(connection):
            return
        for row in connection.execute(
            "SELECT name, size_bytes, sha256 FROM artifacts WHERE doomed_at IS NULL ORDER BY id"
        ):
            yield KeptFile(*row)


def tables(connection: sqlite3.Connection) -> list[str]:
    """Names of the tables of a database, those of SQLite itself left out."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
    )
    return [str(row[0]) for row in found]


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Names of the columns of a table, in their order."""
    return [str(row[1]) for row in connection.execute(f'PRAGMA table_info("{table}")')]


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608  # a table of ours
