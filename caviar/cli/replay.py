"""`caviar replay`: whether a study's suggestions come out the same when they are computed once more."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from caviar.cli import options
from caviar.cli.console import CommandFailed, Line, out, say
from caviar.client import Client
from caviar.contract.analysis import ReplayDifference


def replay(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")],
    *,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Compute every suggestion of a study once more from its events. Status 1 if one comes out differently."""
    with Client(url, token) as client:
        found = client.replay(study)
    count = f"{found.num_identical} of {found.num_checked} suggestions"
    if found.first_difference is not None:
        out().print(_table(found.first_difference))
        raise CommandFailed(f"not identical: {count} came out the same; trial {found.first_difference.number} did not")
    say(f"identical: {count}")
    if found.num_unchecked:
        say(f"not checked: {found.num_unchecked} trials that no suggestion stands behind")


def _table(difference: ReplayDifference) -> Table:
    table = Table("", "stored", "recomputed", title=f"trial {difference.number}", title_justify="left")
    stored, recomputed = _cells(difference.stored), _cells(difference.recomputed)
    for name in [*stored, *(name for name in recomputed if name not in stored)]:
        if stored.get(name) != recomputed.get(name):
            table.add_row(Line(name), Line(stored.get(name, "")), Line(recomputed.get(name, "")))
    return table


def _cells(facts: dict[str, Any]) -> dict[str, str]:
    """Every fact by its path; numbers with all their digits."""
    cells: dict[str, str] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            cells |= {f"{name}.{path}": cell for path, cell in _cells(value).items()}
        else:
            cells[name] = repr(value)
    return cells
