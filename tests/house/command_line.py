"""Whether a command line is one that `caviar` understands, without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from caviar.cli import app


def parse(words: Sequence[str]) -> str:
    """Parse a command line and return the full name of its command.

    Args:
        words: The words, `caviar` first.

    Raises:
        TyperException: There is no such command or option, or a value is refused.
    """
    assert words[0] == "caviar"
    command: Any = get_command(app)
    context = command.make_context("caviar", list(words[1:]))
    while isinstance(command, TyperGroup):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert name is not None
        context = command.make_context(name, rest, parent=context)
    return str(context.command_path)
