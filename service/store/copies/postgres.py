"""Copies of a Postgres database as SQLite files, made in one snapshot under load, and such files loaded into one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, func, inspect, select

from caviar.contract.errors import InvalidRequest, StateConflict
from service.store import migrations
from service.store.copies import contents
from service.store.copies.occupancy import is_unused
from service.store.copies.sqlite import failures_told, opened
from service.store.engine import connect, outages_told
from service.store.schema import metadata

# As SQLAlchemy writes them to SQLite: naive, in UTC, to the microsecond.
_TIME = "to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
_READ_AS = {
    "timestamp with time zone": (_TIME, "text"),
    "boolean": ("{0}::int", "int8"),
    "json": ("{0}::text", "text"),
    "double precision": ("{0}", "float8"),
    "integer": ("{0}", "int8"),
    "bigint": ("{0}", "int8"),
}
_OTHERWISE = ("{0}::text", "text")


def copy_out(database_url: str, target: Path) -> None:
    """Copy a database as it is now to a new SQLite file of the same schema.

    All tables are read by COPY in one transaction that sees a single state of the database and holds up no writer.

    Raises:
        InvalidRequest: It holds no tables of Caviar, or those of a newer version.
        Unavailable: It does not answer, or the copy cannot be written.
    """
    engine = connect(database_url)
    try:
        with outages_told(), engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            if not inspect(connection).has_table("alembic_version"):
                raise InvalidRequest("the database holds no tables of Caviar; name that of a service")
            revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
            target.touch(mode=0o600)
            migrations.upgrade(f"sqlite:///{target}", revision)
            with failures_told("the backup"), closing(opened(target)) as copy:
                _fill(connection, copy)
        with target.open("rb") as file:
            os.fsync(file.fileno())
    finally:
        engine.dispose()


def _fill(connection: Connection, copy: sqlite3.Connection) -> None:
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF"):
        copy.execute(f"PRAGMA {pragma}")
    copy.execute("BEGIN")
    for table in contents.tables(copy):
        if table == "alembic_version":
            continue
        names = contents.columns(copy, table)
        places = ", ".join("?" for _ in names)
        listed = ", ".join(f'"{name}"' for name in names)
        insert = f'INSERT INTO "{table}" ({listed}) VALUES ({places})'  # noqa: S608  # tables of ours
        copy.executemany(insert, _rows(connection, table, names))
    copy.execute("COMMIT")


def _rows(connection: Connection, table: str, names: list[str]) -> Iterator[tuple[Any, ...]]:
    told = connection.exec_driver_sql(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND table_name = %s",
        (table,),
    )
    types = {row.column_name: row.data_type for row in told}
    reads = [_READ_AS.get(types[name], _OTHERWISE) for name in names]
    asked = sql.SQL(", ").join(
        sql.SQL(read).format(sql.Identifier(name)) for name, (read, _) in zip(names, reads, strict=True)
    )
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(asked, sql.Identifier(table))
    with _driver(connection).cursor() as cursor, cursor.copy(query) as out:
        out.set_types([kind for _, kind in reads])
        yield from out.rows()


def copy_in(staged: Path, database_url: str, *, is_replacing: bool) -> None:
    """Fill a database with all rows of a copy of the newest schema, in one transaction.

    Args:
        staged: The copy.
        database_url: The database; its tables are made or upgraded first.
        is_replacing: Remove what it holds; otherwise it must be empty.
    Raises:
        StateConflict: It is not empty, or somebody else is connected to it.
        InvalidRequest: A row holds what this kind of database does not store.
        Unavailable: It does not answer.
    """
    migrations.upgrade(database_url)
    engine = connect(database_url)
    try:
        with outages_told(), closing(opened(staged)) as copy, engine.connect() as connection, connection.begin():
            _require_alone(connection)
            if is_replacing:
                names = ", ".join(f'"{name}"' for name in metadata.tables)
                connection.exec_driver_sql(f"TRUNCATE {names}")
            elif not is_unused(connection):
                raise StateConflict("the database is not empty; nothing was changed")
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
            for table in metadata.sorted_tables:
                _load(connection, copy, table.name)
                _number(connection, copy, table.name)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    finally:
        engine.dispose()


def _require_alone(connection: Connection) -> None:
    others = connection.exec_driver_sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    ).scalar_one()
    if others:
        raise StateConflict(f"{others} others are connected to the database; stop the services that use it first")


def _load(connection: Connection, copy: sqlite3.Connection, table: str) -> None:
    names = [column.name for column in metadata.tables[table].columns]
    listed = ", ".join(f'"{name}"' for name in names)
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with _refusals_told(table), _driver(connection).cursor() as cursor, cursor.copy(query) as into:
        for row in copy.execute(f'SELECT {listed} FROM "{table}"'):  # noqa: S608  # tables of ours
            into.write_row(row)


@contextmanager
def _refusals_told(table: str) -> Iterator[None]:
    try:
        yield
    except psycopg.DataError as error:
        raise InvalidRequest(f"Postgres cannot store a row of the table {table}: {error}") from error


def _number(connection: Connection, copy: sqlite3.Connection, table: str) -> None:
    # New rows are numbered after those that came with their numbers.
    column = metadata.tables[table].autoincrement_column
    if column is None:
        return
    found = copy.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    last = max(connection.execute(select(func.max(column))).scalar() or 0, found[0] if found else 0)
    sequence = func.pg_get_serial_sequence(table, column.name)
    connection.execute(select(func.setval(sequence, max(last, 1), last > 0)))


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
