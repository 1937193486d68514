"""`caviar export`: the trials of a study as a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from caviar.cli import options
from caviar.cli.console import CommandFailed, hand_over
from caviar.client import Client


class Format(StrEnum):
    """What the trials are written as."""

    CSV = "csv"
    JSON = "json"


def export(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")],
    *,
    format: Annotated[Format, typer.Option("--format", help="A table with a line per trial, or all.")] = Format.CSV,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", show_default=False, help="Default: the standard output."),
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Write all trials of a study as CSV or JSON."""
    with Client(url, token) as client:
        text = client.export(study, "csv" if format is Format.CSV else "json")
    if output is None:
        hand_over(text)
        return
    try:
        # Line ends are part of the format and stay as they came.
        output.write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise CommandFailed(f"{output} cannot be written: {error.strerror}") from error
