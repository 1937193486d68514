"""Placing on the CPU: the first free slot."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import psutil

from caviar.contract.fleet import Device
from caviar.contract.messages import Assignment
from worker import cores
from worker.placing.protocol import SlotView
from worker.placing.reservations import Reservations

_CPU = "cpu"
_MODELS = Path("/proc/cpuinfo")


class CpuPlacing:
    """Any free slot will do, unless a training must be alone: then no other runs beside it.

    Attributes:
        name: Model of the processor, for people.
    """

    def __init__(self, num_slots: int, *, models: Path = _MODELS) -> None:
        """Begin with free slots.

        Args:
            num_slots: Trainings at the same time.
            models: File in which the system names its processor.
        """
        self._num_slots = num_slots
        self.name = _processor(models)
        self._reservations = Reservations()

    def choose(self, assignment: Assignment, slots: Sequence[SlotView]) -> int | None:
        """See `Placing.choose`."""
        free = [slot.index for slot in slots if slot.is_free]
        is_busy = any(slot.assignment is not None for slot in slots)
        self._reservations.ask(assignment.lease)
        if assignment.is_alone:
            if not self._reservations.hold(_CPU, assignment.lease):
                return None
            may_start = not is_busy
        else:
            may_start = not self._is_closed(assignment.lease, slots)
        if not free or not may_start:
            return None
        self._reservations.release(assignment.lease)
        return free[0]

    def num_claimable(self, slots: Sequence[SlotView], waiting: Sequence[Assignment]) -> int:
        """See `Placing.num_claimable`."""
        self._reservations.keep({assignment.lease for assignment in waiting})
        if any(assignment.is_alone for assignment in waiting) or self._is_closed(None, slots):
            return 0
        return max(0, sum(slot.is_free for slot in slots) - len(waiting))

    def learn(self, assignment: Assignment, peak_device_memory_bytes: int | None, *, slot: SlotView) -> None:
        """Nothing is learnt: the memory of the machine is not divided among slots."""

    def to_renew(self, slots: Sequence[SlotView]) -> list[int]:
        """None: what a free process holds is small beside what the machine has."""
        return []

    def devices(self) -> list[Device]:
        """The processor as one device."""
        memory = psutil.virtual_memory()
        device = Device(
            kind="cpu",
            name=self.name,
            memory_total_bytes=memory.total,
            memory_used_bytes=max(0, memory.total - memory.available),
            utilisation=min(1.0, psutil.cpu_percent() / 100),
            num_slots=self._num_slots,
            num_cores=cores.usable_cores(),
        )
        return [device]

    def device_memory_bytes(self, process_id: int) -> int | None:
        """None: a CPU has no memory of its own."""
        return None

    def problem(self) -> str | None:
        """None: there is always a CPU."""
        return None

    def _is_closed(self, lease: str | None, slots: Sequence[SlotView]) -> bool:
        is_alone = any(slot.assignment is not None and slot.assignment.is_alone for slot in slots)
        return is_alone or self._reservations.is_held(_CPU, against=lease)


def _processor(models: Path) -> str:
    try:
        lines = models.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return (next(named, "") or platform.processor() or platform.machine() or "CPU")[:200]
