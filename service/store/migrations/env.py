"""Alembic's entry point: runs the revisions on the database that `migrations.upgrade` was given."""

from __future__ import annotations

from alembic import context

from service.store.engine import connect
from service.store.schema import metadata

# Any number that nobody else locks by.
_UPGRADE_LOCK = 7_226_372_851


def _run() -> None:
    engine = connect(context.config.attributes["database_url"])
    try:
        with engine.execution_options(is_writer=True).connect() as connection:
            if connection.dialect.name == "postgresql":
                # Services that start together upgrade one after the other.
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            context.configure(connection=connection, target_metadata=metadata, compare_type=True)
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
    finally:
        engine.dispose()


_run()
