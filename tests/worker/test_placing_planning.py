from __future__ import annotations

import os
from pathlib import Path

import psutil
import pynvml
import pytest

from caviar.contract.errors import InvalidRequest
from tests.fakes import nvml
from tests.fakes.box import GIB, assignment
from tests.fakes.nvml import Machine
from worker import cores
from worker.memory import MachineMemory
from worker.placing import SlotView
from worker.placing.cpu import CpuPlacing
from worker.placing.gpu import GpuPlacing
from worker.placing.planning import Wishes, available_bytes, num_cpu_slots, num_gpu_slots, plan


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    state = nvml.machine(4)
    nvml.install(monkeypatch, state)
    return state


@pytest.fixture
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 16)
    monkeypatch.setattr(cores, "pinnable_cores", lambda: frozenset(range(16)))


def test_each_gpu_gets_slots_that_see_it_alone(machine: Machine, sixteen_cores: None, tmp_path: Path) -> None:
    planned = plan(Wishes(), state_dir=tmp_path, outer={}, memory_bytes=lambda: 512 * GIB)
    assert isinstance(planned.placing, GpuPlacing)
    assert [slot.device for slot in planned.slots] == [gpu.uuid for gpu in machine.gpus for _ in range(4)]
    for slot in planned.slots:
        assert slot.environment["CUDA_VISIBLE_DEVICES"] == slot.device
        assert slot.environment["OMP_NUM_THREADS"] == "2"
        assert slot.cores is None
    assert planned.slots[0].device_name == "NVIDIA H100 80GB HBM3"
    assert (planned.word, planned.is_normal) == (None, True)


def test_what_was_learnt_is_kept_in_the_state_folder(machine: Machine, tmp_path: Path) -> None:
    planned = plan(Wishes(), state_dir=tmp_path, outer={})
    slots = [SlotView(i, slot.device, True, 100 + i) for i, slot in enumerate(planned.slots)]
    planned.placing.learn(assignment(units=1), GIB, slot=slots[0])
    assert (tmp_path / "device-memory.json").exists()


def test_a_fixed_number_of_slots_per_gpu(machine: Machine, sixteen_cores: None, tmp_path: Path) -> None:
    planned = plan(Wishes(devices="0,2", slots_per_gpu=3, threads_per_slot=7), state_dir=tmp_path, outer={})
    assert [slot.device for slot in planned.slots] == ["GPU-0000-fake"] * 3 + ["GPU-2222-fake"] * 3
    assert planned.slots[0].environment["TF_NUM_INTRAOP_THREADS"] == "7"
    slots = [SlotView(i, slot.device, True, 100 + i) for i, slot in enumerate(planned.slots)]
    assert planned.placing.num_claimable(slots, []) == 6


def test_a_gpu_that_is_not_there_is_refused(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'4', which is no GPU here"):
        plan(Wishes(devices="4"), state_dir=tmp_path, outer={})


def test_on_the_cpu_each_core_gets_a_slot(machine: Machine, sixteen_cores: None, tmp_path: Path) -> None:
    planned = plan(Wishes(devices="cpu"), state_dir=tmp_path, outer={}, memory_bytes=lambda: 64 * GIB)
    assert isinstance(planned.placing, CpuPlacing)
    assert len(planned.slots) == 16
    pinned = [slot.cores for slot in planned.slots]
    assert all(part is not None and len(part) == 1 for part in pinned)
    assert len(set(pinned)) == 16
    for slot in planned.slots:
        assert slot.device is None
        assert slot.environment["CUDA_VISIBLE_DEVICES"] == "-1"
        assert slot.environment["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("wishes", "threads", "sizes"),
    [
        (Wishes(devices="cpu", cpu_slots=3), "5", [5, 5, 6]),
        (Wishes(devices="cpu", cpu_slots=20), "1", [1] * 20),
        (Wishes(devices="cpu", cpu_slots=2, threads_per_slot=1), "1", [8, 8]),
        (Wishes(devices="cpu", cpu_slots=2, pin_cores=False), "8", [None, None]),
    ],
)
def test_cores_are_divided_among_slots(
    sixteen_cores: None, tmp_path: Path, wishes: Wishes, threads: str, sizes: list[int | None]
) -> None:
    planned = plan(wishes, state_dir=tmp_path, outer={}, memory_bytes=lambda: 64 * GIB)
    assert [None if slot.cores is None else len(slot.cores) for slot in planned.slots] == sizes
    assert {slot.environment["MKL_NUM_THREADS"] for slot in planned.slots} == {threads}


def test_without_a_driver_the_cpu_is_used_and_it_is_said_why(machine: Machine, tmp_path: Path) -> None:
    machine.init_error = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    planned = plan(Wishes(), state_dir=tmp_path, outer=os.environ)
    assert isinstance(planned.placing, CpuPlacing)
    assert planned.word is not None
    assert "modprobe nvidia" in planned.word
    assert not planned.is_normal


def test_the_systems_own_word_on_memory_counts(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 5 kB\n")
    assert available_bytes(MachineMemory(tmp_path, tmp_path)) == 5 * 1024
    # Where there is no such file, it is asked otherwise.
    elsewhere = MachineMemory(tmp_path / "none", tmp_path / "none")
    assert 0 < available_bytes(elsewhere) < psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("num_cores", "memory_bytes", "expected"), [(2, 24 * GIB, 2), (64, 10 * GIB, 10), (8, GIB // 2, 1)]
)
def test_slots_on_the_cpu(num_cores: int, memory_bytes: int, expected: int) -> None:
    assert num_cpu_slots(num_cores, memory_bytes) == expected


@pytest.mark.parametrize(
    ("num_gpus", "num_cores", "memory_gib", "device_gib", "expected"),
    [
        (1, 64, 256, 80, 8),
        (4, 16, 256, 80, 4),
        (4, 2, 256, 80, 1),
        (2, 64, 12, 80, 3),
        (1, 64, 256, 5, 2),
        (1, 64, 256, 1, 1),
        (1, 64, 256, None, 8),
    ],
)
def test_slots_on_each_gpu(
    num_gpus: int, num_cores: int, memory_gib: int, device_gib: int | None, expected: int
) -> None:
    least = None if device_gib is None else device_gib * GIB
    assert num_gpu_slots(num_gpus, num_cores, memory_gib * GIB, least) == expected
