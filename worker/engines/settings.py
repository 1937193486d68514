"""The settings of the engines, read once and passed down."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from caviar.contract.errors import InvalidRequest
from worker.settings import WorkerSettings

RayAddress = Annotated[str, StringConstraints(pattern=r"^(auto|local|[^\s/:]+:\d{1,5})$")]
"""Of a Ray cluster: `auto`, `local`, or host and port of its head node."""


class EngineSettings(BaseSettings):
    """Where workers run; each field can be given as `CAVIAR_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="CAVIAR_", env_ignore_empty=True, frozen=True, extra="forbid")

    engine: Literal["local", "ray"] = Field(
        default="local", description="Where the worker runs: `local` for this machine, `ray` for a Ray cluster."
    )
    ray_address: RayAddress = Field(
        default="auto",
        description="Ray cluster: `auto` for the one that this machine belongs to, `host:port` of its head node, or "
        "`local` to start one on this machine, for trying out.",
    )
    ray_num_cpus: float = Field(
        default=1.0, gt=0, le=100_000, description="CPU cores that Ray sets aside for each worker, above 0."
    )
    ray_num_gpus: float | None = Field(
        default=None,
        ge=0,
        le=1024,
        description="GPUs that Ray sets aside for each worker, a whole number or a fraction below 1; without it, 1 if "
        "the cluster has GPUs at the start, else 0.",
    )
    token_from_node: bool = Field(
        default=False,
        description="Whether workers on a cluster take the access token from `CAVIAR_TOKEN` or the token file of their "
        "node; otherwise the engine's own is sent to them.",
    )
    min_workers: int = Field(
        default=0, ge=0, le=10_000, description="Workers that an engine keeps on its cluster without any work, 0-10000."
    )
    max_workers: int = Field(
        default=64, ge=1, le=10_000, description="Most workers that an engine asks its cluster for, 1-10000."
    )
    worker_idle_s: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        description="Seconds after which an engine ends a worker that has nothing to train and is not wanted.",
    )

    @model_validator(mode="after")
    def _check(self) -> EngineSettings:
        if self.min_workers > self.max_workers:
            raise ValueError(f"min_workers is {self.min_workers}; expected at most max_workers, {self.max_workers}")
        gpus = self.ray_num_gpus
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(f"ray_num_gpus is {gpus:g}; expected a whole number, or a fraction below 1")
        return self


# What a worker on a cluster decides for itself, or its engine for it.
_CHOSEN_THERE = ("name", "state_dir")
_NOT_HANDED_ON = {"token", "exit_when_idle", *_CHOSEN_THERE}


def handed_on(settings: WorkerSettings) -> dict[str, str]:
    """The settings that the operator gave, as the variables in which a worker elsewhere finds them.

    Raises:
        InvalidRequest: One of them cannot hold for several workers.
    """
    given = settings.model_dump(mode="json", exclude_unset=True)
    for name in _CHOSEN_THERE:
        if given.get(name) is not None:
            raise InvalidRequest(
                f"{name} is {given[name]!r}, which cannot be the same for all workers of a cluster; leave it out: each "
                "is named after its node and has a folder in that node's CAVIAR_HOME"
            )
    return {
        f"CAVIAR_{name.upper()}": _written(value)
        for name, value in given.items()
        if name not in _NOT_HANDED_ON and value is not None
    }


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
