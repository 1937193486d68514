"""Connecting to SQLite and Postgres so that both keep the same promises."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, Engine, PoolProxiedConnection, RootTransaction, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from caviar.contract.errors import FieldError, InvalidRequest, Unavailable
from service.domain.principal import Principal
from service.store.prepared import first_row
from service.store.transaction import Transaction

_BUSY_TIMEOUT_S = 30.0
PATIENCE_S = 10.0
"""Seconds that a writer waits for its turn, and may keep others waiting in silence."""
TOLD = "told"
"""Execution option of an engine: functions that are told the server's time at the beginning of each turn."""
_BEGIN = "begin"
# All writers of a database take turns by it; any number that nobody else locks by.
_TURN = 7_226_372_852
# The settings hold for the transaction alone. A list of results is computed from left to right, so they hold for the
# lock already, and the time is taken once it is held.
_TAKE_TURN = (
    "SELECT set_config('lock_timeout', '{patience}', true), "
    "set_config('idle_in_transaction_session_timeout', '{patience}', true), "
    f"pg_advisory_xact_lock({_TURN}), clock_timestamp()"
)
# A server that is gone is noticed within half a minute, also by who only listens.
_KEEP_ALIVE = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_log = structlog.get_logger(__name__)


__all__ = [
    "Engine",
    "NotBegun",
    "Turns",
    "begun",
    "connect",
    "is_outage",
    "is_shared",
    "outage",
    "outages_told",
    "parse_url",
    "ping",
    "read",
    "take_turn",
    "write",
]


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


class NotBegun(Unavailable):
    """A transaction could not even begin: the database is away, or other writers did not let it have its turn."""


def connect(database_url: str, *, pool_size: int = 10, patience_s: float = PATIENCE_S) -> Engine:
    """An engine with the pragmas and transaction modes that the service relies on.

    Every acknowledged write survives a power cut on both databases: SQLite runs in WAL mode with `synchronous=FULL`,
    Postgres with its default `synchronous_commit=on`. Whoever writes begins by `take_turn`.

    Args:
        database_url: See `parse_url`.
        pool_size: Connections kept open for readers and writers together.
        patience_s: Seconds that a writer waits for others on Postgres, and after which the server ends the transaction
            of one that says nothing more, because its process is frozen or its machine gone; 0 for ever. The execution
            option of the same name says otherwise for a connection.
    """
    url = parse_url(database_url)
    options: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
        "pool_size": pool_size,
        "max_overflow": pool_size,
        # Errors of the driver go to the log, and parameters may be secrets.
        "hide_parameters": True,
    }
    if url.drivername == "sqlite":
        options["connect_args"] = {"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False}
    else:
        options["pool_pre_ping"] = True
        options["connect_args"] = {name: value for name, value in _KEEP_ALIVE.items() if name not in url.query}
        # Who listens to what others commit passes over what this process says.
        options["execution_options"] = {"patience_s": patience_s, "origin": secrets.token_hex(4), TOLD: []}
    engine = create_engine(url, **options)
    if url.drivername == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        # Not by a listener: an engine that has one for anything but new connections takes two to three times as long
        # for every statement.
        engine.dialect.do_begin = _begin_sqlite  # type: ignore[method-assign]  # as a dialect of our own would have it
    return engine


def is_shared(engine: Engine) -> bool:
    """Whether several processes may serve the database."""
    return engine.dialect.name == "postgresql"


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Python's sqlite3 would begin transactions by its own rules; with None, `_begin_sqlite` alone does.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(dbapi_connection: PoolProxiedConnection) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute(dbapi_connection.info.pop(_BEGIN, "BEGIN"))
    cursor.close()


def take_turn(connection: Connection) -> RootTransaction:
    """Begin a transaction that writes; one at a time holds a turn.

    On SQLite it is `BEGIN IMMEDIATE`, because a read transaction that turns into a write transaction fails under
    contention. On Postgres writers take turns by an advisory lock, so that the commits of all processes follow one
    order, and what an operation has read stays true until its own commit.

    Raises:
        OperationalError: Others did not end theirs in time.
    """
    if connection.dialect.name == "sqlite":
        connection.info[_BEGIN] = "BEGIN IMMEDIATE"
        return connection.begin()
    transaction = connection.begin()
    options = connection.get_execution_options()
    patience = f"{round(1000 * options['patience_s'])}ms"
    *_, told_at = first_row(connection, _TAKE_TURN.format(patience=patience))
    for tell in options[TOLD]:
        tell(told_at)
    return transaction


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
    with (
        outages_told(),
        engine.connect().execution_options(**options) as connection,
        connection.begin(),
        Transaction(connection, now, actor) as tx,
    ):
        yield tx


def ping(transaction: Transaction) -> None:
    """Raise unless the database answers."""
    transaction.connection.exec_driver_sql("SELECT 1")


class Turns:
    """Transactions that write, one after the other, on a connection that is kept from one to the next."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is connected yet.

        Args:
            engine: Of the database.
        """
        self._engine = engine
        self._kept: Connection | None = None

    @contextmanager
    def begun(self) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end.

        Raises:
            NotBegun: The database does not answer, or lets nobody begin (503).
        """
        try:
            connection, turn = self._begin()
        except DBAPIError as error:
            if not is_outage(error):
                raise
            raise NotBegun(outage(error).detail) from error
        try:
            with turn:
                yield connection
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection; the next transaction begins on another one."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _begin(self) -> tuple[Connection, RootTransaction]:
        if self._kept is not None:
            try:
                return self._kept, take_turn(self._kept)
            except DBAPIError as error:
                self.close()
                # One that was lost while it rested says nothing about the database: nothing was begun on it.
                if not error.connection_invalidated:
                    raise
        self._kept = self._engine.connect()
        try:
            return self._kept, take_turn(self._kept)
        except BaseException:
            self.close()
            raise


@contextmanager
def begun(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that writes and is committed at the end, for once.

    Raises:
        NotBegun: The database does not answer, or lets nobody begin (503).
    """
    with closing(Turns(engine)) as turns, turns.begun() as connection:
        yield connection


@contextmanager
def write(engine: Engine, now: datetime, actor: Principal | None = None) -> Iterator[Transaction]:
    """A transaction that writes, for the time before the writer works; its events are stored and told to nobody."""
    with (
        outages_told(),
        engine.connect() as connection,
        take_turn(connection),
        Transaction(connection, now, actor) as tx,
    ):
        yield tx
        tx.flush()


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
    # It is what both drivers raise for a server that is gone, a full disk, a lock that stays held, a transaction that
    # lost against another one, or a statement that somebody cancelled: each may succeed when it is tried again.
    if error.connection_invalidated or isinstance(error, OperationalError) or _is_full(error):
        return True
    # The server has ended the transaction of who was silent for too long.
    return type(error.orig).__name__ in ("IdleInTransactionSessionTimeout", "TransactionTimeout")


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
