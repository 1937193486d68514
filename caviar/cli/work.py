"""`caviar work`: a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caviar.cli import options
from caviar.cli.children import end_with_parent
from caviar.client.connection import service_url

ResumeDir = Annotated[
    Path | None,
    typer.Option(
        "--resume-dir",
        envvar="CAVIAR_RESUME_DIR",
        metavar="FOLDER",
        show_default=False,
        help="Where what paused trials go on from is kept. Default: the folder resume in CAVIAR_HOME (~/.caviar).",
    ),
]


def work(
    *,
    url: options.Url = None,
    token: options.Token = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", envvar="CAVIAR_NAME", show_default=False, help="Name for people. Default: the machine's."
        ),
    ] = None,
    slots: options.Slots = None,
    threads_per_slot: options.ThreadsPerSlot = None,
    objective: options.Objectives = None,
    data_dir: options.DataDir = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            "--state-dir",
            envvar="CAVIAR_STATE_DIR",
            metavar="FOLDER",
            show_default=False,
            help="Where undelivered reports and logs are kept. Default: the folder worker in CAVIAR_HOME (~/.caviar).",
        ),
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            "--checkpoints",
            envvar="CAVIAR_CHECKPOINTS_DIR",
            metavar="FOLDER",
            show_default=False,
            help="Keep the best weights of each trial here.",
        ),
    ] = None,
    resume_dir: ResumeDir = None,
    exit_when_idle: Annotated[bool, typer.Option("--exit-when-idle", help="End when nothing is left to do.")] = False,
    end_with: options.ParentProcess = None,
) -> None:
    """Run a worker: it takes trials from the service and trains them on this machine."""
    end_with_parent(end_with)
    settings = options.optional_module("worker.settings", "worker-cpu")
    main = options.optional_module("worker.main", "worker-cpu")
    chosen = options.given(
        url=service_url(url),
        token=token,
        name=name,
        slots=slots,
        threads_per_slot=threads_per_slot,
        objectives=objective,
        data_dir=data_dir,
        state_dir=state_dir,
        checkpoints_dir=checkpoints,
        resume_dir=resume_dir,
        exit_when_idle=exit_when_idle or None,
    )
    raise typer.Exit(main.run(options.settings(settings.WorkerSettings, chosen)))
