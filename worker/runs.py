"""The trainings that a worker has taken on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from caviar.contract.messages import Assignment


@dataclass
class Run:
    """A trial in training.

    Attributes:
        assignment: What is trained.
        deadline: Reading of the monotonic clock at which its process is killed; infinity for never.
        is_started: Whether the training process has begun with it.
        is_gone: Whether the service has taken it away: nothing of it is reported any more.
        is_warned: Whether it was logged that its checkpoints cannot be kept.
    """

    assignment: Assignment
    deadline: float = math.inf
    is_started: bool = False
    is_gone: bool = False
    is_warned: bool = False

    @property
    def lease(self) -> str:
        """Its token."""
        return self.assignment.lease


@dataclass
class Place:
    """What the supervisor knows of a slot's process.

    Attributes:
        is_ready: Whether it has imported everything.
        first_memory_bytes: Its memory when it became ready.
        num_failed_starts: Processes in a row that died before they were ready.
        run: What it trains; None if it is free.
    """

    is_ready: bool = False
    first_memory_bytes: int = 0
    num_failed_starts: int = 0
    run: Run | None = None

    @property
    def is_free(self) -> bool:
        """Whether it can take a training now."""
        return self.is_ready and self.run is None
