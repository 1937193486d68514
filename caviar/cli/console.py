"""What commands print, and how they fail: a sentence and a table of the refused fields, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Self

import typer
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from caviar.contract.errors import CaviarError, FieldError
from caviar.showing import visible, visible_lines

_WIDTH_IN_FILES = 160


class CommandFailed(Exception):
    """A command cannot do what it was asked to, for a reason that a person can act on.

    Attributes:
        detail: A sentence for people.
        more: Lines below it.
    """

    def __init__(self, detail: str, *, more: Sequence[str] = ()) -> None:
        """Keep the sentence, and the lines."""
        super().__init__(detail)
        self.detail = detail
        self.more = more


class CommandGroup(TyperGroup):
    """Commands whose expected errors become a red sentence and status 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CaviarError as error:
            show_error(error.detail, error.errors)
            raise typer.Exit(1) from error
        except CommandFailed as error:
            show_error(error.detail, more=error.more)
            raise typer.Exit(1) from error


class Line(Text):
    """Words as they are: nothing in them steers the terminal, breaks the line, or is read as Rich's markup.

    Names, labels and errors come from others, so every text that a command shows is made by it; a test sees to that.
    """

    def __init__(self, text: str = "", style: str | Style = "", **options: Any) -> None:
        """Take the words, and what `rich.text.Text` takes."""
        super().__init__(visible(text), style, **options)

    def append(self, text: Text | str, style: str | Style | None = None) -> Self:
        """Add words, or a line, at the end."""
        super().append(visible(text) if isinstance(text, str) else text, style)
        return self


def piled(lines: Iterable[Text]) -> Text:
    """Lines one below the other, as one text."""
    return Text("\n").join(lines)


def say(text: str, console: Console | None = None) -> None:
    """Print a sentence, which a terminal may wrap.

    Args:
        text: The sentence.
        console: Where; None for the standard output.
    """
    (console or out()).print(Line(text), soft_wrap=True)


def hand_over(text: str) -> None:
    """Write a text for programs: to a file or a pipe as it is, to a terminal so that it cannot steer it.

    Args:
        text: Lines, the last one with its end.
    """
    # As bytes: line ends are part of some formats and stay as they came.
    typer.echo(visible_lines(text) if sys.stdout.isatty() else text.encode("utf-8"), nl=False)


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


def show_error(detail: str, errors: Sequence[FieldError] = (), *, more: Sequence[str] = ()) -> None:
    """Print what went wrong to stderr.

    Args:
        detail: A sentence for people.
        errors: The refused fields, shown as a table.
        more: Lines below the sentence.
    """
    console = err()
    for line in (f"Error: {detail}", *more):
        console.print(Line(line, "red"), soft_wrap=True)
    if errors:
        table = Table("field", "received", "expected")
        for error in errors:
            table.add_row(
                Line(error.field or "(the whole)", "bold"), Line(_received(error.received)), Line(error.expected)
            )
        console.print(table)


def show_note(text: str) -> None:
    """Print a remark to stderr that is no error."""
    err().print(Line(text, "yellow"), soft_wrap=True)


def _received(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
