"""What the crew asks before it starts a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from caviar.contract.fleet import Device
from caviar.contract.messages import Assignment


@dataclass(frozen=True)
class SlotView:
    """What the crew knows of a slot.

    Attributes:
        index: Its number within the worker, from 0.
        device: Uuid of its device; None for the CPU.
        is_free: Whether it can take a training now.
        process_id: Its process.
        assignment: What it trains; None if nothing.
    """

    index: int
    device: str | None
    is_free: bool
    process_id: int
    assignment: Assignment | None = None


class Placing(Protocol):
    """Decides where and when trainings start."""

    def choose(self, assignment: Assignment, slots: Sequence[SlotView]) -> int | None:
        """Index of the free slot to train it in now; None to wait.

        It is asked for every waiting assignment in turn: a small one may fit where a large one must wait.
        """

    def num_claimable(self, slots: Sequence[SlotView], waiting: Sequence[Assignment]) -> int:
        """For how many more trials there is probably room now.

        Args:
            slots: All slots.
            waiting: All that the worker has taken on and not started.
        """

    def learn(self, assignment: Assignment, peak_device_memory_bytes: int | None, *, slot: SlotView) -> None:
        """A training has ended that did at least one epoch, or ran out of memory.

        Args:
            assignment: What was trained.
            peak_device_memory_bytes: Most that `device_memory_bytes` said of its process meanwhile; None if unknown.
            slot: Where it was trained.
        """

    def to_renew(self, slots: Sequence[SlotView]) -> list[int]:
        """Free slots whose processes hold memory that a waiting training needs: give them new processes."""

    def devices(self) -> list[Device]:
        """Fresh facts of the devices; may be called from another thread."""

    def device_memory_bytes(self, process_id: int) -> int | None:
        """Memory of its device that a slot's process holds; None if unknown. May be called from another thread."""

    def problem(self) -> str | None:
        """Why no training can ever start again in this worker; None as long as one can."""
