"""The cores that this process may use, and how slots share them."""

from __future__ import annotations

import os
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TOPOLOGY = Path("/sys/devices/system/cpu")


def usable_cores(quota: Path = _QUOTA) -> int:
    """Cores of the machine, less those that affinity or the container's CPU quota withhold; at least 1.

    Args:
        quota: File with quota and period of the control group, in microseconds of CPU time.
    Source: Linux kernel documentation, "Control Group v2", cpu.max.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        granted, period = quota.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return cores if granted == "max" else max(1, min(cores, int(granted) // int(period)))


def pinnable_cores() -> frozenset[int] | None:
    """Numbers of the cores that this process may run on; None where the system does not pin processes."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def divide(cores: Collection[int], num_slots: int, topology: Path = _TOPOLOGY) -> list[frozenset[int]]:
    """Divide cores evenly among slots: none idle, and none in two slots unless there are more slots than cores.

    Args:
        cores: Their numbers, at least one.
        num_slots: At least 1.
        topology: Folder in which the system tells which of them are threads of one physical core; these stay together.
    Returns:
        The cores of each slot.
    Source: Linux kernel documentation, "How CPU topology info is exported via sysfs".
    """
    ordered = sorted(cores, key=lambda core: (*_physical(core, topology), core))
    if num_slots > len(ordered):
        return [frozenset({ordered[slot % len(ordered)]}) for slot in range(num_slots)]
    bounds = [slot * len(ordered) // num_slots for slot in range(num_slots + 1)]
    return [frozenset(ordered[start:end]) for start, end in pairwise(bounds)]


def pin(cores: Collection[int]) -> None:
    """Run this thread, and those that it will start, on these cores only; does nothing where the system cannot."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def thread_environment(threads: int) -> dict[str, str]:
    """Variables that hold the libraries of one training to so many threads; they must be set before it imports them.

    Source: OpenXLA, xla/pjrt/utils.cc, DefaultThreadPoolSize, for NPROC.
    """
    count = str(threads)
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
             "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NPROC")  # fmt: skip
    return dict.fromkeys(names, count)


def _physical(core: int, topology: Path) -> tuple[int, int]:
    folder = topology / f"cpu{core}" / "topology"
    try:
        package, number = ((folder / name).read_text(encoding="ascii") for name in ("physical_package_id", "core_id"))
        return int(package), int(number)
    except (OSError, ValueError):
        return 0, core
