"""Options that several commands share."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from caviar.cli.console import CommandFailed
from caviar.client.connection import DEFAULT_URL
from caviar.contract.errors import InvalidRequest, field_errors

Settings = TypeVar("Settings")


def _option(flag: str, variable: str | None, metavar: str | None, help: str, **limits: Any) -> Any:
    return typer.Option(flag, envvar=variable, metavar=metavar, show_default=False, help=help, **limits)


Url = Annotated[
    str | None,
    _option("--url", "CAVIAR_URL", "URL", f"Address of the service. Default: {DEFAULT_URL}."),
]
Token = Annotated[
    str | None,
    _option("--token", "CAVIAR_TOKEN", "TOKEN", "Access token. Default: the one stored by a service of this user."),
]
Database = Annotated[
    str | None,
    _option(
        "--database",
        "CAVIAR_DATABASE_URL",
        "URL",
        "SQLite or Postgres. Default: the SQLite file caviar.db in CAVIAR_HOME (~/.caviar).",
    ),
]
Host = Annotated[str | None, _option("--host", "CAVIAR_HOST", "ADDRESS", "Address to listen on. Default: 127.0.0.1.")]
Port = Annotated[
    int | None, _option("--port", "CAVIAR_PORT", None, "Port to listen on. Default: 8700.", min=1, max=65535)
]
AdminToken = Annotated[
    str | None,
    _option("--token", "CAVIAR_TOKEN", "TOKEN", "Admin token of the service. Default: made at its first start."),
]
LeaseTtl = Annotated[
    float | None,
    _option(
        "--lease-ttl-s",
        "CAVIAR_LEASE_TTL_S",
        "SECONDS",
        "Seconds without a sign of life after which a trial goes to another worker. Default: 30.",
    ),
]
Artifacts = Annotated[
    str | None,
    _option(
        "--artifacts",
        "CAVIAR_ARTIFACTS_URL",
        "FOLDER|URL",
        "Where checkpoints and weights are kept, also s3://…, gs://… and the like. "
        "Default: the folder artifacts in CAVIAR_HOME.",
    ),
]
PublicUrl = Annotated[
    str | None,
    _option(
        "--public-url",
        "CAVIAR_PUBLIC_URL",
        "URL",
        "Address that people reach the service at, for links in messages of webhooks and for sign-ins.",
    ),
]
WebhookNetworks = Annotated[
    str | None,
    _option(
        "--webhook-allow",
        "CAVIAR_WEBHOOK_ALLOWED_NETWORKS",
        "NETWORKS",
        "Networks that webhooks may send to although they are not public, separated by commas, such as 10.2.0.0/16.",
    ),
]
TlsCertificate = Annotated[
    Path | None,
    _option("--tls-cert", "CAVIAR_TLS_CERT", "FILE", "PEM file of a certificate, to speak https. Default: http."),
]
TlsKey = Annotated[
    Path | None, _option("--tls-key", "CAVIAR_TLS_KEY", "FILE", "PEM file of the certificate's private key.")
]
Devices = Annotated[
    str | None,
    _option(
        "--devices",
        "CAVIAR_DEVICES",
        "auto|cpu|LIST",
        "What to train on: auto for all GPUs, or the CPU where there are none; or GPUs by number or UUID: 0,1,GPU-…. "
        "Default: auto.",
    ),
]
SlotsPerGpu = Annotated[
    str | None,
    _option(
        "--slots-per-gpu",
        "CAVIAR_SLOTS_PER_GPU",
        "N|auto",
        "Trainings at the same time on each GPU. Default: auto, as many as fit by measured memory.",
    ),
]
CpuSlots = Annotated[
    str | None,
    _option(
        "--cpu-slots",
        "CAVIAR_CPU_SLOTS",
        "N|auto",
        "Trainings at the same time on the CPU. Default: auto, one per core as memory allows.",
    ),
]
Backend = Annotated[
    str | None,
    _option(
        "--backend",
        "CAVIAR_BACKEND",
        "tensorflow|jax|torch",
        "Backend of Keras. Default: what KERAS_BACKEND says, else tensorflow.",
    ),
]
Labels = Annotated[
    list[str] | None,
    _option(
        "--label",
        None,
        "KEY=VALUE",
        "Something to say of this worker that studies may require; repeatable. Beside: CAVIAR_LABELS, as JSON.",
    ),
]
ThreadsPerSlot = Annotated[
    int | None,
    _option(
        "--threads-per-slot",
        "CAVIAR_THREADS_PER_SLOT",
        None,
        "CPU threads of each training. Default: the cores divided among them.",
        min=1,
    ),
]
Objectives = Annotated[
    list[str] | None,
    _option("--objective", None, "FILE|MODULE", "A Python file or module with objectives of your own; repeatable."),
]
DataDir = Annotated[
    Path | None,
    _option(
        "--data-dir",
        "CAVIAR_DATA_DIR",
        "FOLDER",
        "Folder of data files that studies may name. Default: the folder data in CAVIAR_HOME.",
    ),
]
Processes = Annotated[
    int | None,
    _option(
        "--processes",
        "CAVIAR_PROCESSES",
        "N",
        "Service processes that share the work, with Postgres only. Default: 1.",
        min=1,
    ),
]
ListeningSockets = Annotated[
    list[int] | None,
    _option("--listening-socket", None, "DESCRIPTOR", "Serve on this socket of the parent process.", hidden=True),
]
ProcessNumber = Annotated[
    int | None,
    _option("--process-number", None, "N", "Which of several service processes this is, for logs.", hidden=True),
]
ParentProcess = Annotated[
    int | None,
    _option("--end-with", None, "PID", "End when this process, which started this one, ends.", hidden=True),
]


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others are left to the settings, which know their defaults."""
    return {name: value for name, value in options.items() if value is not None and value != []}


def labels(given: list[str] | None) -> dict[str, str] | None:
    """Labels of a worker as they are written on a command line.

    Raises:
        InvalidRequest: One of them is not of the form key=value.
    """
    if not given:
        return None
    parts = [label.partition("=") for label in given]
    for key, sign, value in parts:
        if not (key and sign and value):
            raise InvalidRequest(f"received the label {key + sign + value!r}, expected KEY=VALUE, as in site=home")
    return {key: value for key, _, value in parts}


def arguments(**options: Any) -> list[str]:
    """The options that were given, as they are written on a command line; a list is an option for each of its items."""
    return [
        part
        for name, value in given(**options).items()
        for item in (value if isinstance(value, list) else [value])
        for part in (f"--{name.replace('_', '-')}", str(item))
    ]


def settings(kind: Callable[..., Settings], options: dict[str, Any]) -> Settings:
    """The settings of a process from options, the environment and defaults.

    Raises:
        InvalidRequest: A setting is wrong; it names each of them.
    """
    try:
        return kind(**options)
    except ValidationError as error:
        errors = field_errors(error, options)
        raise InvalidRequest(
            "the settings cannot be accepted (options, or CAVIAR_… variables of the environment)", errors=errors
        ) from error


def optional_module(name: str, extra: str) -> ModuleType:
    """A module of the service or the worker, which an installation of the client alone cannot load.

    Args:
        name: Full name of the module.
        extra: What to install for it.
    Raises:
        CommandFailed: A package that it needs is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if missing.split(".")[0] in ("caviar", "service", "worker"):
            raise
        raise CommandFailed(
            f"this command needs the package {missing}, which is not installed; "
            f"install it with: pip install 'caviar[{extra}]'"
        ) from error
