"""Memory as the kernel tells it: of this very process, and of files that stand for control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.memory import MachineMemory

MIB = 1024**2


def test_the_peak_of_a_process_is_counted_anew_after_a_reset() -> None:
    memory = MachineMemory()
    size = 200 * MIB
    block = bytearray(size)
    before = memory.of_process(os.getpid())
    del block
    assert memory.reset_peak(os.getpid())
    after = memory.of_process(os.getpid())
    assert before is not None
    assert after is not None
    assert before.peak_bytes >= before.resident_bytes >= size
    assert after.peak_bytes < before.peak_bytes - size // 2
    assert (memory.available_bytes() or 0) > 0
    assert memory.num_oom_kills() >= 0


def test_a_process_that_is_gone_has_no_memory(tmp_path: Path) -> None:
    memory = MachineMemory(tmp_path, tmp_path)
    assert memory.of_process(7) is None
    assert not memory.reset_peak(7)
    assert (memory.available_bytes(), memory.num_oom_kills()) == (None, 0)


def grouped(folder: Path, own: str, at: str) -> MachineMemory:
    """A machine with 10 GiB left, and a control group with 1 GiB of 4 in use, a quarter of it files."""
    memory = MachineMemory(folder / "proc", folder / "groups")
    (memory.processes / "self").mkdir(parents=True)
    (memory.processes / "self" / "cgroup").write_text(f"1:name=systemd:/x\n0::/{own}\n")
    (memory.processes / "meminfo").write_text(f"MemAvailable: {10 * 1024**2} kB\n")
    (memory.processes / "vmstat").write_text("oom_kill 77\n")
    group = memory.groups / at
    group.mkdir(parents=True)
    for name, content in {
        "memory.max": f"{4096 * MIB}\n", "memory.current": f"{1024 * MIB}\n",
        "memory.stat": f"anon 1\ninactive_file {256 * MIB}\n", "memory.events": "oom 9\noom_kill 3\noom_group_kill 0\n",
    }.items():  # fmt: skip
        (group / name).write_text(content)
    return memory


@pytest.mark.parametrize(("own", "at"), [("system.slice/a.service", "system.slice/a.service"), ("host/path", ".")])
def test_the_limit_of_the_control_group_counts_and_so_do_its_kills(tmp_path: Path, own: str, at: str) -> None:
    memory = grouped(tmp_path, own, at)
    assert memory.available_bytes() == (4096 - 1024 + 256) * MIB
    assert memory.num_oom_kills() == 3


def test_without_a_limit_of_the_group_the_machine_counts(tmp_path: Path) -> None:
    memory = grouped(tmp_path, "a", "a")
    (memory.groups / "a" / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 10 * 1024 * MIB
