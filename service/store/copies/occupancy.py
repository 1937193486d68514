"""Whether a database may be filled: it holds nothing of ours yet."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, select

from service.store import migrations
from service.store.engine import connect, outages_told, parse_url
from service.store.schema import metadata


def is_empty(database_url: str) -> bool:
    """Whether a database holds no row of Caviar; one that does not exist yet holds none.

    Raises:
        InvalidRequest: It holds the tables of a newer version.
        Unavailable: It does not answer.
    """
    url = parse_url(database_url)
    if url.drivername == "sqlite" and not Path(url.database or "").exists():
        return True
    migrations.require_known(migrations.current(database_url))
    engine = connect(database_url)
    try:
        with outages_told(), engine.connect() as connection:
            return is_unused(connection)
    finally:
        engine.dispose()


def is_unused(connection: Connection) -> bool:
    """Whether no table of ours has a row, as far as the tables are there."""
    known = set(inspect(connection).get_table_names())
    ours = [table for name, table in metadata.tables.items() if name in known]
    return not any(connection.execute(select(table.c[next(iter(table.c.keys()))]).limit(1)).first() for table in ours)
