"""`caviar weights`: the weights of a trial as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caviar.cli import options
from caviar.cli.console import CommandFailed, say
from caviar.client import Client


def weights(
    trial: Annotated[int, typer.Argument(metavar="TRIAL", min=1, help="Id of the trial, as its page shows it.")],
    file: Annotated[
        Path,
        typer.Argument(metavar="[FILE]", show_default=False, help="File or folder. Default: the current folder."),
    ] = Path(),
    *,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Download the weights of a trial's best epoch; those of the best trials of a study are kept."""
    try:
        with Client(url, token) as client:
            saved = client.download_weights(trial, file)
    except OSError as error:
        raise CommandFailed(f"{error.filename or file} cannot be written: {error.strerror}") from error
    say(f"{saved} ({saved.stat().st_size:,} bytes)")
