"""What commands print, and how they fail: a sentence and a table of the refused fields, never a traceback."""

from __future__ import annotations

import os
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from caviar.contract.errors import CaviarError, FieldError

_WIDTH_IN_FILES = 160


class CommandFailed(Exception):
    """A command cannot do what it was asked to, for a reason that a person can act on.

    Attributes:
        detail: A sentence for people.
    """

    def __init__(self, detail: str) -> None:
        """Keep the sentence."""
        super().__init__(detail)
        self.detail = detail


class CommandGroup(TyperGroup):
    """Commands whose expected errors become a red sentence and status 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (CaviarError, CommandFailed) as error:
            show_error(error.detail, error.errors if isinstance(error, CaviarError) else ())
            raise typer.Exit(1) from error


def out() -> Console:
    """The terminal, or the file that the output goes to, in which tables are not cut at 80 columns."""
    return _console(is_error=False)


def err() -> Console:
    """Where errors and warnings go."""
    return _console(is_error=True)


def _console(*, is_error: bool) -> Console:
    console = Console(stderr=is_error, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_IN_FILES
    return console


def show_error(detail: str, errors: tuple[FieldError, ...] = ()) -> None:
    """Print what went wrong to stderr.

    Args:
        detail: A sentence for people.
        errors: The refused fields, shown as a table.
    """
    console = err()
    console.print(Text(f"Error: {detail}", style="red"), soft_wrap=True)
    if errors:
        table = Table("field", "received", "expected")
        for error in errors:
            table.add_row(
                Text(error.field or "(the whole)", style="bold"), Text(_received(error.received)), Text(error.expected)
            )
        console.print(table)


def show_note(text: str) -> None:
    """Print a remark to stderr that is no error."""
    err().print(Text(text, style="yellow"), soft_wrap=True)


def _received(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
