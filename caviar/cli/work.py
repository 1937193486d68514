"""`caviar work`: a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caviar.cli import engines, options
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
Name = Annotated[
    str | None,
    typer.Option("--name", envvar="CAVIAR_NAME", show_default=False, help="Name for people. Default: the machine's."),
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        envvar="CAVIAR_STATE_DIR",
        metavar="FOLDER",
        show_default=False,
        help="Where undelivered reports and logs are kept. Default: the folder worker in CAVIAR_HOME (~/.caviar).",
    ),
]
CheckpointsDir = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        envvar="CAVIAR_CHECKPOINTS_DIR",
        metavar="FOLDER",
        show_default=False,
        help="Keep the best weights of each trial here.",
    ),
]
ExitWhenIdle = Annotated[bool, typer.Option("--exit-when-idle", help="End when nothing is left to do.")]


def work(
    *,
    url: options.Url = None,
    token: options.Token = None,
    name: Name = None,
    label: options.Labels = None,
    devices: options.Devices = None,
    slots_per_gpu: options.SlotsPerGpu = None,
    cpu_slots: options.CpuSlots = None,
    threads_per_slot: options.ThreadsPerSlot = None,
    backend: options.Backend = None,
    objective: options.Objectives = None,
    data_dir: options.DataDir = None,
    state_dir: StateDir = None,
    checkpoints: CheckpointsDir = None,
    resume_dir: ResumeDir = None,
    exit_when_idle: ExitWhenIdle = False,
    end_with: options.ParentProcess = None,
    engine: engines.Engine = "local",
    ray_address: engines.RayAddress = None,
    ray_num_cpus: engines.RayNumCpus = None,
    ray_num_gpus: engines.RayNumGpus = None,
    token_from_node: engines.TokenFromNode = False,
    min_workers: engines.MinWorkers = None,
    max_workers: engines.MaxWorkers = None,
    worker_idle_s: engines.WorkerIdle = None,
) -> None:
    """Run a worker: it takes trials from the service and trains them on this machine, or several on a cluster."""
    end_with_parent(end_with)
    settings = options.optional_module("worker.settings", "worker-cpu")
    chosen = options.given(
        url=service_url(url),
        token=token,
        name=name,
        labels=options.labels(label),
        devices=devices,
        slots_per_gpu=slots_per_gpu,
        cpu_slots=cpu_slots,
        threads_per_slot=threads_per_slot,
        backend=backend,
        objectives=objective,
        data_dir=data_dir,
        state_dir=state_dir,
        checkpoints_dir=checkpoints,
        resume_dir=resume_dir,
        exit_when_idle=exit_when_idle or None,
    )
    worker = options.settings(settings.WorkerSettings, chosen)
    if engine == "local":
        raise typer.Exit(options.optional_module("worker.main", "worker-cpu").run(worker))
    raise typer.Exit(engines.run(
        worker, engine=engine, ray_address=ray_address, ray_num_cpus=ray_num_cpus, ray_num_gpus=ray_num_gpus,
        token_from_node=token_from_node or None, min_workers=min_workers, max_workers=max_workers,
        worker_idle_s=worker_idle_s,
    ))  # fmt: skip
