"""Bringing a database to the schema of this version, by Alembic revisions."""

from __future__ import annotations

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from caviar import __version__
from caviar.contract.errors import FieldError, InvalidRequest
from service.store.engine import connect, outages_told, parse_url
from service.store.transaction import Transaction

_FOLDER = Path(__file__).parent


def _config(database_url: str) -> Config:
    # Alembic would print to the terminal what the functions here return.
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Create the tables, or bring those of an older version up to this one; of an up-to-date database nothing changes.

    All steps are one transaction: one that is interrupted leaves the database as it was, and may be repeated. Of
    services that start together, one upgrades while the others wait.

    Args:
        revision: Where to end; for copies of databases that are not up to date.
    Raises:
        InvalidRequest: The address cannot be used, or a newer version has upgraded the database.
        Unavailable: The database does not answer.
    """
    url = parse_url(database_url)
    if url.drivername == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    if revision != "head":
        require_known(revision)
    with outages_told():
        command.upgrade(_config(database_url), revision)


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


def stamped(tx: Transaction) -> str | None:
    """The revision that the database of a transaction is at; None of an empty one."""
    return MigrationContext.configure(tx.connection).get_current_revision()


def head() -> str | None:
    """The newest revision that this version knows."""
    return ScriptDirectory.from_config(_config("sqlite://")).get_current_head()


def require_known(revision: str | None) -> None:
    """Refuse the schema of a newer version, which this one would misunderstand.

    Args:
        revision: Of a database; None of an empty one.
    Raises:
        InvalidRequest: This version does not know it.
    """
    script = ScriptDirectory.from_config(_config("sqlite://"))
    if revision is None or revision in {known.revision for known in script.walk_revisions()}:
        return
    expected = f"{script.get_current_head()}, the newest one of Caviar {__version__}, or an older one"
    field = FieldError(field="database schema", received=revision, expected=expected)
    raise InvalidRequest(
        "a newer version of Caviar has upgraded this database; start that version, or restore a backup that was made "
        "before the upgrade",
        errors=[field],
    )


def check(database_url: str) -> str | None:
    """Compare an upgraded database with the tables that the code expects.

    Returns:
        What differs, for people; None if nothing does.
    Raises:
        InvalidRequest: A newer version has upgraded the database.
    """
    try:
        with outages_told():
            command.check(_config(database_url))
    except CommandError as error:
        return str(error)
    return None
