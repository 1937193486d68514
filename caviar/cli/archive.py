"""`caviar archive`: studies that are over, kept out of the way."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from caviar.cli import options
from caviar.cli.console import CommandFailed, say
from caviar.client import Client

_AGE = re.compile(r"([1-9][0-9]{0,5})([dhw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def archive(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", show_default=False, help="Name of a study that has ended.")
    ] = None,
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            show_default=False,
            help="All studies that ended so long ago, such as 90d, 12w or 36h.",
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the study out of the archive.")] = False,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Archive a study that has ended, or all that ended long ago: lists leave them out and nothing of them changes."""
    if (study is None) == (older_than is None) or (undo and study is None):
        raise CommandFailed("give either the name of a study, with --undo or without, or --older-than AGE")
    with Client(url, token) as client:
        if study is not None:
            view = client.unarchive(study) if undo else client.archive(study)
            say(f"study {view.name} is {'archived' if view.archived_at else 'out of the archive'}")
            return
        before = datetime.now(UTC) - _age(str(older_than))
        old = [view.name for view in client.studies() if view.ended_at is not None and view.ended_at <= before]
        for name in old:
            client.archive(name)
            say(f"study {name} is archived")
        say(f"{len(old)} studies were archived")


def _age(text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        raise CommandFailed(f"received the age {text!r}, expected a number and a unit: h, d or w, as in 90d")
    return int(found[1]) * _UNITS[found[2]]
