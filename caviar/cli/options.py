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
from caviar.contract.errors import InvalidRequest, field_errors

Settings = TypeVar("Settings")

Url = Annotated[str | None, typer.Option("--url", envvar="CAVIAR_URL", metavar="URL", show_default=False,
                                         help="Address of the service. Default: http://127.0.0.1:8700.")]
Token = Annotated[str | None, typer.Option("--token", envvar="CAVIAR_TOKEN", metavar="TOKEN", show_default=False,
                                           help="Access token. Default: the one stored by a service of this user.")]
Database = Annotated[str | None, typer.Option("--database", envvar="CAVIAR_DATABASE_URL", metavar="URL",
                                              show_default=False,
                                              help="SQLite or Postgres. Default: the SQLite file caviar.db in "
                                                   "CAVIAR_HOME (~/.caviar).")]
Host = Annotated[str | None, typer.Option("--host", envvar="CAVIAR_HOST", metavar="ADDRESS", show_default=False,
                                          help="Address to listen on. Default: 127.0.0.1.")]
Port = Annotated[int | None, typer.Option("--port", envvar="CAVIAR_PORT", min=1, max=65535, show_default=False,
                                          help="Port to listen on. Default: 8700.")]
AdminToken = Annotated[str | None, typer.Option("--token", envvar="CAVIAR_TOKEN", metavar="TOKEN", show_default=False,
                                                help="Admin token of the service. Default: made at its first start.")]
LeaseTtl = Annotated[float | None, typer.Option("--lease-ttl-s", envvar="CAVIAR_LEASE_TTL_S", metavar="SECONDS",
                                                show_default=False,
                                                help="Seconds without a sign of life after which a trial goes to "
                                                     "another worker.")]
Slots = Annotated[int | None, typer.Option("--slots", envvar="CAVIAR_SLOTS", min=1, show_default=False,
                                           help="Trainings at the same time on the CPU.")]
ThreadsPerSlot = Annotated[int | None, typer.Option("--threads-per-slot", envvar="CAVIAR_THREADS_PER_SLOT", min=1,
                                                    show_default=False,
                                                    help="CPU threads of each. Default: the cores divided among them.")]
Objectives = Annotated[list[str] | None, typer.Option("--objective", metavar="FILE|MODULE", show_default=False,
                                                      help="A Python file or module with objectives of your own; "
                                                           "may be repeated.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", envvar="CAVIAR_DATA_DIR", metavar="FOLDER",
                                              show_default=False,
                                              help="Folder of data files that studies may name.")]
ParentProcess = Annotated[int | None, typer.Option("--end-with", metavar="PID", hidden=True,
                                                   help="End when this process, which started this one, ends.")]


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others are left to the settings, which know their defaults."""
    return {name: value for name, value in options.items() if value is not None and value != []}


def arguments(**options: Any) -> list[str]:
    """The options that were given, as they are written on a command line; a list is an option for each of its items."""
    return [part for name, value in given(**options).items() for item in (value if isinstance(value, list) else [value])
            for part in (f"--{name.replace('_', '-')}", str(item))]


def settings(kind: Callable[..., Settings], options: dict[str, Any]) -> Settings:
    """The settings of a process from options, the environment and defaults.

    Raises:
        InvalidRequest: A setting is wrong; it names each of them.
    """
    try:
        return kind(**options)
    except ValidationError as error:
        errors = field_errors(error, options)
        raise InvalidRequest("the settings cannot be accepted (options, or CAVIAR_… variables of the environment)",
                             errors=errors) from error


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
        raise CommandFailed(f"this command needs the package {missing}, which is not installed; "
                            f"install it with: pip install 'caviar[{extra}]'") from error
