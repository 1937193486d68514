"""How many cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


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


def thread_environment(threads: int) -> dict[str, str]:
    """Variables that hold the libraries of one training to so many threads; they must be set before it imports them."""
    count = str(threads)
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
             "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")  # fmt: skip
    return dict.fromkeys(names, count)
