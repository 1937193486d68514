"""`caviar db`: the schema of the service's database, its backups."""

from __future__ import annotations

from types import ModuleType

import typer

from caviar.cli import backups, options
from caviar.cli.console import CommandFailed, say

app = typer.Typer(no_args_is_help=True, help="Bring the database to the newest schema; back it up and restore it.")
app.command("backup")(backups.backup)
app.command("restore")(backups.restore)
app.command("verify")(backups.verify)


@app.command()
def upgrade(database: options.Database = None) -> None:
    """Bring the database to the newest schema; the service does so by itself when it starts.

    While a service runs on a SQLite file it is refused: tables are made anew under its feet.
    """
    url = _url(database)
    with options.optional_module("service.store.sole", "service").alone(url):
        _migrations().upgrade(url)
    say(f"the database has schema {_migrations().current(url)}")


@app.command()
def current(database: options.Database = None) -> None:
    """Print the schema that the database has."""
    say(_migrations().current(_url(database)) or "the database is empty")


@app.command()
def check(database: options.Database = None) -> None:
    """End with status 1 if the database does not have the newest schema."""
    url = _url(database)
    difference = _migrations().check(url)
    if difference:
        raise CommandFailed(f"the schema of the database is not the newest one: {difference}; run caviar db upgrade")
    say("the database has the newest schema")


def _migrations() -> ModuleType:
    return options.optional_module("service.store.migrations", "service")


def _url(database: str | None) -> str:
    settings = options.optional_module("service.settings", "service")
    return str(options.settings(settings.ServiceSettings, options.given(database_url=database)).database_url)
