"""`caviar audit`: who did what."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table

from caviar.cli import options
from caviar.cli.console import Line, hand_over, out
from caviar.client import Client


def audit(
    *,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Only what this one did.")] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="ACTION", help="Only this, such as study.create, or study.")
    ] = None,
    about: Annotated[
        str | None, typer.Option("--object", metavar="OBJECT", help="Only what was done to this: study:NAME, trial:ID.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="At most so many entries.", min=1)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One entry a line, as JSON, for programs.")] = False,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Print who did what, the newest first. It takes an administrator's token."""
    with Client(url, token) as client:
        found = list(islice(client.audit(actor=actor, action=action, about=about), limit))
    if as_json:
        for entry in found:
            hand_over(entry.model_dump_json() + "\n")
        return
    table = Table()
    for heading in ("when", "who", "what", "on what", "from", "more"):
        table.add_column(heading, overflow="fold")
    for entry in found:
        more = {name: value for name, value in entry.details.items() if value is not None}
        table.add_row(
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            Line(entry.actor),
            Line(entry.action),
            Line(entry.object),
            Line(entry.address or ""),
            Line(json.dumps(more, ensure_ascii=False) if more else ""),
        )
    out().print(table)
