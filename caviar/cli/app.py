"""All commands together."""

from __future__ import annotations

from typing import Annotated

import typer

import caviar
from caviar.cli import (
    archive,
    audit,
    db,
    demo,
    export,
    imports,
    replay,
    serve,
    snippet,
    submit,
    token,
    top,
    up,
    webhook,
    weights,
    work,
    workers,
)
from caviar.cli.console import CommandGroup, say

app = typer.Typer(
    name="caviar",
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Hyperparameter search for Keras: submit a study, train it on parallel workers, watch the leaderboard.",
)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("serve")(serve.serve)
app.command("work")(work.work)
app.command("submit")(submit.submit)
app.command("top")(top.top)
app.command("export")(export.export)
app.command("import")(imports.import_trials)
app.command("archive")(archive.archive)
app.command("replay")(replay.replay)
app.command("snippet")(snippet.snippet)
app.command("weights")(weights.weights)
app.add_typer(workers.app, name="workers")
app.add_typer(token.app, name="token")
app.add_typer(webhook.app, name="webhook")
app.command("audit")(audit.audit)
app.add_typer(db.app, name="db")


def _show_version(is_asked: bool) -> None:
    if is_asked:
        say(f"caviar {caviar.__version__}")
        raise typer.Exit


@app.callback()
def caviar_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Hold the options of `caviar` itself; its help text is that of `app`."""


def main() -> None:
    """Run the command of the command line and end the process with its status."""
    app(prog_name="caviar")
