"""`caviar submit`: a study from a file."""

from __future__ import annotations

from typing import Annotated

import typer

from caviar.cli import options, study_file
from caviar.cli.console import CommandFailed, out, say, show_note
from caviar.cli.progress import study_progress, summary
from caviar.client import Client
from caviar.contract.states import StudyState


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Study in YAML or JSON; - for the standard input.")],
    *,
    name: Annotated[str | None, typer.Option("--name", help="Name of the study in place of the file's.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="Change a field, as in budget.max_trials=10; may be repeated."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show its progress until it is finished.")] = False,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Submit a study. Submitting the same one again changes nothing."""
    spec = study_file.load(file, name=name, changes=changes or ())
    with Client(url, token) as client:
        study = client.create_study(spec)
        say(f"study {study.name} is {study.state}: {client.url}/studies/{study.name}")
        if client.study(study.name).num_able_workers == 0:
            show_note("no connected worker can take its trials now; caviar workers lists those that are connected")
        if not wait:
            return
        with study_progress(out()) as progress:
            study = client.wait(study.name, on_view=progress.show)
    if study.state is not StudyState.COMPLETE:
        raise CommandFailed(f"study {study.name} is {study.state}, not complete; {summary(study)}")
