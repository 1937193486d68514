"""`caviar import`: results to begin with, from a file or another study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from caviar.cli import options
from caviar.cli.console import CommandFailed, Line, out, say
from caviar.client import Client
from caviar.client.files import read_trials
from caviar.contract.study import ImportTrials
from caviar.contract.views import Imported

_SHOWN = 20


def import_trials(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study that takes the trials.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", show_default=False, help="A .csv or .json file, as `caviar export` writes it."
        ),
    ] = None,
    *,
    other: Annotated[
        str | None, typer.Option("--from", metavar="OTHER", show_default=False, help="A study of the same service.")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Give a study the results of trials that were trained before. What does not fit its search space is skipped."""
    if (file is None) == (other is None):
        raise CommandFailed("give either a file or --from OTHER, the name of another study")
    with Client(url, token) as client:
        trials = ImportTrials(study=other) if file is None else _read(client, study, file)
        imported = client.import_trials(study, trials)
    _show(study, imported)


def _read(client: Client, study: str, file: Path) -> ImportTrials:
    space = client.study(study).space
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{file} is no UTF-8 text (byte {error.start}: {error.reason})") from error
    match file.suffix.lower():
        case ".csv":
            return read_trials(text, "csv", space)
        case ".json":
            return read_trials(text, "json", space)
        case _:
            raise CommandFailed(f"{file} ends in {file.suffix or 'nothing'}; expected a file in .csv or .json")


def _show(study: str, imported: Imported) -> None:
    skipped = f", {len(imported.skipped)} skipped" if imported.skipped else ""
    say(f"study {study}: {imported.num_imported} trials imported{skipped}")
    if not imported.skipped:
        return
    table = Table("place", "trial", "why it was skipped")
    for one in imported.skipped[:_SHOWN]:
        number = "" if one.number is None else str(one.number)
        table.add_row(str(one.position + 1), number, Line(one.reason))
    out().print(table)
    if (more := len(imported.skipped) - _SHOWN) > 0:
        say(f"and {more} more")
