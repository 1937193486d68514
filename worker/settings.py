"""The settings of a worker, read once and passed down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

WorkerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""A name for people that is also the name of a folder: 1-128 letters, digits, `.`, `_`, `-`."""


class WorkerSettings(BaseSettings):
    """What the operator of a worker decides; each field can be given as `CAVIAR_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="CAVIAR_", env_ignore_empty=True, frozen=True, extra="forbid")

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/]+.*$")] = Field(
        default="http://127.0.0.1:8700", description="Address of the service."
    )
    token: SecretStr | None = Field(
        default=None, description="Access token; without one, the token file of the same user on this machine is read."
    )
    name: WorkerName | None = Field(
        default=None,
        description="Name of the worker for people, and of its state folder; without one, the name of the machine, "
        "with a number when a worker of that name is already running here.",
    )
    slots: int = Field(default=1, ge=1, le=1024, description="Number of trainings that run at the same time, 1-1024.")
    threads_per_slot: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads of each training; without it, the cores divided by slots."
    )
    objectives: tuple[str, ...] = Field(
        default=(),
        description="The operator's own objectives: `path/to/file.py` or `package.module`, each optionally with "
        "`:ClassName`.",
    )
    data_dir: Path | None = Field(
        default=None, description="Folder of the data files that studies may name; without it, `data` in CAVIAR_HOME."
    )
    state_dir: Path | None = Field(
        default=None,
        description="Folder of the undelivered reports and the logs; without it, `worker/<name>` in CAVIAR_HOME.",
    )
    checkpoints_dir: Path | None = Field(
        default=None, description="Folder for the best weights of every trial; without it, none are kept."
    )
    resume_dir: Path | None = Field(
        default=None,
        description="Folder of the checkpoints from which paused trials go on, shared by the workers of this machine; "
        "without it, `resume` in CAVIAR_HOME.",
    )
    exit_when_idle: bool = Field(
        default=False, description="Whether to end once a claim brings no trial while none is running."
    )
    claim_wait_s: float = Field(
        default=5.0,
        ge=0,
        le=30,
        description="Seconds that the service may hold a claim until there is work, 0-30; the end of an idle worker "
        "takes as long.",
    )
    stop_grace_s: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="Seconds after which a training that does not stop when asked, or at its time limit, is killed.",
    )
    flush_s: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="Seconds to try to deliver the last reports at the end; the rest is delivered at the next start.",
    )
    max_slot_growth_bytes: int = Field(
        default=2 * 1024**3,
        ge=1,
        description="Bytes by which the memory of a training process may grow until it is replaced between two trials.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity of what is logged."
    )
