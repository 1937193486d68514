"""How much memory processes use and the machine has left, as Linux tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_KIB = 1024
_FIELD = re.compile(r"^(\w+):?\s+(\d+)", re.MULTILINE)
_RESET_PEAK = "5"


@dataclass(frozen=True)
class ProcessMemory:
    """Memory of a process.

    Attributes:
        resident_bytes: Now.
        peak_bytes: The most since it began, or since `reset_peak`.
    """

    resident_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class MachineMemory:
    """Where the kernel tells of memory.

    Attributes:
        processes: The folder /proc.
        groups: The folder of the control groups, version 2.
    """

    processes: Path = Path("/proc")
    groups: Path = Path("/sys/fs/cgroup")

    def of_process(self, process_id: int) -> ProcessMemory | None:
        """Memory of a process; None if it is gone, or if this system does not tell."""
        fields = _fields(self.processes / str(process_id) / "status")
        if "VmRSS" not in fields:
            return None
        resident = fields["VmRSS"] * _KIB
        return ProcessMemory(resident, max(resident, fields.get("VmHWM", 0) * _KIB))

    def reset_peak(self, process_id: int) -> bool:
        """Count the peak of a process anew from now.

        Returns:
            Whether the system let us do so.
        Source: proc(5), /proc/pid/clear_refs.
        """
        try:
            (self.processes / str(process_id) / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
        except OSError:
            return False
        return True

    def available_bytes(self) -> int | None:
        """Memory that could still be taken without swapping, by the machine and by the control group of this process.

        Returns:
            None if this system does not tell.
        Source: Linux kernel documentation, "Control Group v2", memory.max, memory.current and memory.stat.
        """
        machine = _fields(self.processes / "meminfo").get("MemAvailable")
        bounds = [] if machine is None else [machine * _KIB]
        group = self._group()
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is not None and used is not None:
            # Pages of files that nobody has used lately are given back before anything is killed.
            reclaimable = _fields(group / "memory.stat").get("inactive_file", 0)
            bounds.append(max(0, limit - used + reclaimable))
        return min(bounds, default=None)

    def num_oom_kills(self) -> int:
        """How many processes the kernel has killed for want of memory: those of our control group, else of the machine.

        Source: Linux kernel documentation, "Control Group v2", memory.events.
        """
        fields = _fields(self._group() / "memory.events") or _fields(self.processes / "vmstat")
        return fields.get("oom_kill", 0)

    def _group(self) -> Path:
        try:
            lines = (self.processes / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
        except OSError:
            return self.groups
        # Inside a container the path is often that of the machine, where only the container's own root can be seen.
        own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
        return self.groups / own if (self.groups / own / "memory.current").exists() else self.groups


def _fields(path: Path) -> dict[str, int]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    return {name: int(number) for name, number in _FIELD.findall(text)}


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
