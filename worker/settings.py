"""The settings of a worker, read once and passed down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from caviar.contract.fleet import Labels

WorkerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""A name for people that is also the name of a folder: 1-128 letters, digits, `.`, `_`, `-`."""

NumSlots = Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]


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
    labels: Labels = Field(
        default_factory=dict,
        description='What to say of this worker, as JSON such as `{"site": "basement"}`; a study may require labels.',
    )
    devices: Annotated[str, StringConstraints(min_length=1, max_length=10_000)] = Field(
        default="auto",
        description="What to train on: `auto` for all GPUs, or the CPU where there are none; `cpu`; or GPUs and slices "
        "of GPUs by number or UUID, such as `0,1,GPU-…`.",
    )
    slots_per_gpu: NumSlots = Field(
        default="auto",
        description="Number of trainings at the same time on each GPU, 1-1024; `auto` for as many as fit by the memory "
        "that former trials took.",
    )
    cpu_slots: NumSlots = Field(
        default="auto",
        description="Number of trainings at the same time on the CPU, 1-1024; `auto` for one per core, as "
        "memory allows.",
    )
    threads_per_slot: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads of each training; without it, the cores divided by slots."
    )
    pin_cores: bool = Field(
        default=True, description="Whether each training keeps to cores of its own, as far as there are enough."
    )
    gpu_margin_bytes: int = Field(
        default=1024**3,
        ge=0,
        description="Bytes of each GPU's memory to leave free beyond what trainings are expected to take.",
    )
    backend: Literal["tensorflow", "jax", "torch"] | None = Field(
        default=None,
        description="Backend of Keras: `tensorflow`, `jax` or `torch`; without it, what KERAS_BACKEND says, else "
        "`tensorflow`.",
    )
    whole_epochs: bool = Field(
        default=True, description="Whether small trainings run a whole epoch as one compiled function."
    )
    objectives: tuple[str, ...] = Field(
        default=(),
        description="The operator's own objectives: `path/to/file.py` or `package.module`, each optionally with "
        "`:name` of a class or function.",
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
    max_cache_bytes: int = Field(
        default=20 * 1024**3,
        ge=0,
        lt=2**53,
        description="Bytes of checkpoints that may lie in that folder for each service; the oldest that the service "
        "keeps too are removed beyond it.",
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
    max_epoch_s: float = Field(
        default=3600.0,
        gt=0,
        le=31_536_000,
        description="Seconds without a finished epoch after which a training is killed as stalled; for the first "
        "epoch, since its start.",
    )
    max_slot_memory_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Bytes of resident memory at which a training process is killed, and its trial ends as out of "
        "memory; without it, only the machine's memory is a limit.",
    )
    memory_floor_bytes: int = Field(
        default=256 * 1024**2,
        ge=0,
        description="Bytes of memory available to this worker under which its largest training process is killed, so "
        "that the system need not choose one; 0 for never.",
    )
    max_slot_growth_bytes: int = Field(
        default=2 * 1024**3,
        ge=1,
        description="Bytes by which the memory of a training process may grow until it is replaced between two trials.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity of what is logged."
    )
