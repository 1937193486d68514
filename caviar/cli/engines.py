"""Options of `caviar work` that put workers on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from caviar.cli import options

Engine = Annotated[
    Literal["local", "ray"],
    typer.Option("--engine", envvar="CAVIAR_ENGINE", help="Run a worker here, or workers on a Ray cluster."),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        envvar="CAVIAR_RAY_ADDRESS",
        metavar="ADDRESS",
        show_default=False,
        help="Ray cluster: auto for this machine's, HOST:PORT of the head node, or local to start one here for trying "
        "out. Default: auto.",
    ),
]
RayNumCpus = Annotated[
    float | None,
    typer.Option(
        "--ray-num-cpus",
        envvar="CAVIAR_RAY_NUM_CPUS",
        show_default=False,
        help="CPU cores that Ray sets aside for each worker. Default: 1.",
    ),
]
RayNumGpus = Annotated[
    float | None,
    typer.Option(
        "--ray-num-gpus",
        envvar="CAVIAR_RAY_NUM_GPUS",
        show_default=False,
        help="GPUs for each worker, or a fraction of one. Default: 1 if the cluster has any, else 0.",
    ),
]
TokenFromNode = Annotated[
    bool,
    typer.Option(
        "--token-from-node",
        envvar="CAVIAR_TOKEN_FROM_NODE",
        show_default=False,
        help="Workers on a cluster use the access token of their node; this one is not sent to them.",
    ),
]
MinWorkers = Annotated[
    int | None,
    typer.Option(
        "--min-workers",
        envvar="CAVIAR_MIN_WORKERS",
        show_default=False,
        help="Workers to keep on the cluster without any work. Default: 0.",
    ),
]
MaxWorkers = Annotated[
    int | None,
    typer.Option(
        "--max-workers",
        envvar="CAVIAR_MAX_WORKERS",
        show_default=False,
        help="Most workers to ask the cluster for. Default: 64.",
    ),
]
WorkerIdle = Annotated[
    float | None,
    typer.Option(
        "--worker-idle-s",
        envvar="CAVIAR_WORKER_IDLE_S",
        metavar="SECONDS",
        show_default=False,
        help="Seconds after which a worker on the cluster that is not wanted ends. Default: 60.",
    ),
]


def run(worker_settings: object, **chosen: Any) -> int:
    """Run workers on a cluster.

    Args:
        worker_settings: What each of them is started with.
        chosen: The settings of the engine that were given.
    Returns:
        Exit status.
    """
    settings = options.optional_module("worker.engines.settings", "ray")
    running: Callable[..., int] = options.optional_module("worker.engines.running", "ray").run
    return running(options.settings(settings.EngineSettings, options.given(**chosen)), worker_settings)
