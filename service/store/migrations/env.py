"""Alembic's entry point: runs the revisions on the database that `migrations.upgrade` was given."""

from __future__ import annotations

from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from service.store.engine import connect, take_turn
from service.store.migrations import require_known
from service.store.schema import metadata


def _run() -> None:
    engine = connect(context.config.attributes["database_url"])
    try:
        with engine.execution_options(patience_s=0).connect() as connection:
            _migrate(connection, is_sqlite=connection.dialect.name == "sqlite")
    finally:
        engine.dispose()


def _migrate(connection: Connection, *, is_sqlite: bool) -> None:
    if is_sqlite:
        # A table that is made anew drops its former self, and with it the rows that refer to it, unless this is off.
        # Within a transaction it has no effect, so the driver is told.
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
    # Begun before Alembic looks, so that all revisions are one transaction, on SQLite too, and services that start
    # together upgrade one after the other, however long that takes, while those that run wait: all writers take turns.
    with take_turn(connection):
        before = _revision(connection)
        require_known(before)
        context.configure(connection=connection, target_metadata=metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        if is_sqlite and before not in (None, _revision(connection)):
            _check_references(connection)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _check_references(connection: Connection) -> None:
    astray = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if astray is not None:
        raise RuntimeError(f"the upgrade left rows of {astray[0]} that belong to nothing; nothing was changed")


_run()
