"""Connecting to SQLite and Postgres so that both keep the same promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from caviar.contract.errors import FieldError, InvalidRequest, Unavailable
from service.domain.principal import Principal
from service.store.transaction import Transaction

_BUSY_TIMEOUT_S = 30.0
_log = structlog.get_logger(__name__)


__all__ = ["Engine", "connect", "is_outage", "outage", "outages_told", "parse_url", "ping", "read", "write"]


def parse_url(database_url: str) -> URL:
    """Read a database address.

    Args:
        database_url: `sqlite:///path`, or `postgresql://…`, which is taken as `postgresql+psycopg://…`.
    Raises:
        InvalidRequest: It is no address of SQLite or Postgres.
    """
    expected = "sqlite:///path/to/file.db or postgresql://user:password@host:port/database"
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise _refuse("an unreadable address", expected) from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise _refuse(url.render_as_string(hide_password=True), expected)
    return url


def _refuse(received: str, expected: str) -> InvalidRequest:
    field = FieldError(field="database_url", received=received, expected=expected)
    return InvalidRequest("the database address cannot be used", errors=[field])


def connect(database_url: str, *, pool_size: int = 10) -> Engine:
    """An engine with the pragmas and transaction modes that the service relies on.

    Every acknowledged write survives a power cut on both databases: SQLite runs in WAL mode with `synchronous=FULL`,
    Postgres with its default `synchronous_commit=on`. Connections of SQLite begin with a plain `BEGIN`; writers ask for
    `BEGIN IMMEDIATE` by the execution option `is_writer`, because a read transaction that turns into a write
    transaction fails under contention.

    Args:
        database_url: See `parse_url`.
        pool_size: Connections kept open for readers and writers together.
    """
    url = parse_url(database_url)
    options: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
        "pool_size": pool_size,
        "max_overflow": pool_size,
    }
    if url.drivername == "sqlite":
        options["connect_args"] = {"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False}
    else:
        options["pool_pre_ping"] = True
    engine = create_engine(url, **options)
    if url.drivername == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Python's sqlite3 would begin transactions by its own rules; with None, `_begin_sqlite` alone does.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


@contextmanager
def read(engine: Engine, now: datetime, actor: Principal | None = None) -> Iterator[Transaction]:
    """A transaction that only reads and sees one state of the database.

    Args:
        engine: Of the database.
        now: Time of the transaction.
        actor: Who reads.
    Raises:
        Unavailable: The database does not answer (503).
    """
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with outages_told(), engine.connect().execution_options(**options) as connection, connection.begin():
        yield Transaction(connection, now, actor)


def ping(transaction: Transaction) -> None:
    """Raise unless the database answers."""
    transaction.connection.exec_driver_sql("SELECT 1")


@contextmanager
def write(engine: Engine, now: datetime) -> Iterator[Transaction]:
    """A transaction that writes, for the time before the writer works; its events are stored and told to nobody."""
    with outages_told(), engine.execution_options(is_writer=True).connect() as connection, connection.begin():
        transaction = Transaction(connection, now)
        yield transaction
        transaction.flush()


@contextmanager
def outages_told() -> Iterator[None]:
    """Raise `Unavailable` in place of the driver's errors that mean that the database is away."""
    try:
        yield
    except DBAPIError as error:
        if not is_outage(error):
            raise
        raise outage(error) from error


def is_outage(error: DBAPIError) -> bool:
    """Whether the database is away or cannot write, so that the same request may succeed later."""
    # OperationalError is what both drivers raise for a server that is gone, a full disk or a lock that stays held.
    names = ("OperationalError", "AdminShutdown", "CannotConnectNow", "CrashShutdown")
    return error.connection_invalidated or type(error.orig).__name__ in names or _is_full(error)


def outage(error: DBAPIError) -> Unavailable:
    """What to answer while the database is away; logged with the driver's own words."""
    if _is_full(error):
        _log.error("store.disk_full", error=str(error.orig))
        return Unavailable("the disk of the database is full; nothing was stored, repeat the request later")
    _log.warning("store.unavailable", error=str(error.orig))
    return Unavailable("the database does not answer; repeat the request later")


def _is_full(error: DBAPIError) -> bool:
    # SQLite's code is on every error of Python's driver since 3.11; psycopg names Postgres's 53100.
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL or type(error.orig).__name__ == "DiskFull"
