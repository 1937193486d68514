"""`caviar snippet`: a configuration as a Keras program."""

from __future__ import annotations

from typing import Annotated

import typer

from caviar.cli import options
from caviar.cli.console import CommandFailed, hand_over
from caviar.client import Client


def snippet(
    named: Annotated[
        str, typer.Argument(metavar="STUDY|TRIAL", help="Name of a study, for its best trial, or the id of a trial.")
    ],
    *,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Print a trial's configuration as a Python program, complete for the built-in mlp on a named data set."""
    with Client(url, token) as client:
        hand_over(client.snippet(_trial_id(client, named)))


def _trial_id(client: Client, named: str) -> int:
    if named.isascii() and named.isdecimal():
        return int(named)
    best = client.study(named).best
    if best is None:
        raise CommandFailed(f"study {named} has no trial with a value yet; wait for its first epoch, or name a trial")
    return best.trial_id
