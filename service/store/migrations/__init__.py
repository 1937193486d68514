"""Bringing a database to the schema of this version, by Alembic revisions."""

from __future__ import annotations

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from service.store.engine import connect, outages_told, parse_url

_FOLDER = Path(__file__).parent


def _config(database_url: str) -> Config:
    # Alembic would print to the terminal what the functions here return.
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Create the tables, or bring those of an older version up to this one; of an up-to-date database nothing changes.

    Raises:
        InvalidRequest: The address cannot be used.
        Unavailable: The database does not answer.
    """
    url = parse_url(database_url)
    if url.drivername == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    with outages_told():
        command.upgrade(_config(database_url), "head")


def downgrade(database_url: str) -> None:
    """Take every revision back: all tables and everything in them are gone afterwards."""
    with outages_told():
        command.downgrade(_config(database_url), "base")


def current(database_url: str) -> str | None:
    """The revision that a database is at; None of an empty one."""
    engine = connect(database_url)
    try:
        with outages_told(), engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def head() -> str | None:
    """The newest revision that this version knows."""
    return ScriptDirectory.from_config(_config("sqlite://")).get_current_head()


def check(database_url: str) -> str | None:
    """Compare an upgraded database with the tables that the code expects.

    Returns:
        What differs, for people; None if nothing does.
    """
    try:
        with outages_told():
            command.check(_config(database_url))
    except CommandError as error:
        return str(error)
    return None
