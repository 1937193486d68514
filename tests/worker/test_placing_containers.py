from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from caviar.contract.messages import Assignment
from tests.fakes import nvml
from tests.fakes.box import GIB, Box, assignment, taught
from tests.fakes.nvml import Machine, Part


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Four GPUs of 80 GiB."""
    state = nvml.machine(4)
    nvml.install(monkeypatch, state)
    return state


def test_where_the_driver_names_no_processes_changes_of_memory_tell(machine: Machine, tmp_path: Path) -> None:
    for gpu in machine.gpus:
        gpu.shows, gpu.taken_bytes = "none", 2 * GIB
    box = Box(machine, tmp_path, has_own_process_ids=True)
    first = assignment(units=64)
    box.offer(first)
    box.grow(first, 10 * GIB)
    slot = box.slot_of(first)
    assert slot is not None
    assert box.placing.device_memory_bytes(slot.process_id) == 10 * GIB
    box.end(first)
    # 78 - 1 GiB of margin; the first process still holds 10.
    trials = [assignment(units=64) for _ in range(30)]
    placed = box.offer(*trials)
    assert [placed.count(gpu) for gpu in range(4)] == [7, 7, 7, 7]
    for trial in trials[:28]:
        box.grow(trial, 10 * GIB)
    assert all(gpu.used_bytes < 80 * GIB for gpu in machine.gpus)


def silent(machine: Machine, size: int, tmp_path: Path, **options: int) -> Box:
    """One GPU whose driver names no processes."""
    machine.gpus = [Part("GPU-a", total_bytes=size, shows="none")]
    return Box(machine, tmp_path, has_own_process_ids=True, **options)


def held(box: Box, trial: Assignment) -> int | None:
    slot = box.slot_of(trial)
    assert slot is not None
    return box.placing.device_memory_bytes(slot.process_id)


def test_trainings_that_overlap_are_not_told_apart_by_changes(machine: Machine, tmp_path: Path) -> None:
    box = silent(machine, 80 * GIB, tmp_path, slots_per_gpu=2, num_slots=2)
    first, second = assignment(units=64), assignment(units=64)
    box.offer(first)
    box.grow(first, 5 * GIB)
    assert held(box, first) == 5 * GIB
    box.offer(second)
    box.grow(second, 9 * GIB)
    assert (held(box, first), held(box, second)) == (None, None)
    # The second one has overlapped, even when it is the only one left.
    box.end(first)
    assert held(box, second) is None


def test_what_a_process_held_before_counts_where_only_changes_tell(machine: Machine, tmp_path: Path) -> None:
    box = silent(machine, 80 * GIB, tmp_path, num_slots=2)
    first = assignment(units=64)
    box.offer(first)
    box.end(first, 10 * GIB)
    second = assignment(units=64)
    box.offer(second)
    box.grow(second, 12 * GIB)
    assert held(box, second) == 12 * GIB


def test_memory_that_a_replaced_process_gives_back_hides_what_another_takes(machine: Machine, tmp_path: Path) -> None:
    box = silent(machine, 80 * GIB, tmp_path, slots_per_gpu=2, num_slots=2)
    first, second = assignment(units=64), assignment(units=64)
    box.offer(first)
    box.end(first, 20 * GIB)
    holder = box.slots[0]
    box.slots[0] = replace(holder, is_free=False)
    box.offer(second)
    box.grow(second, 3 * GIB)
    assert held(box, second) == 3 * GIB
    box.slots[0] = replace(holder, process_id=6000)
    box.num_claimable()
    assert held(box, second) is None


def test_memory_that_idle_processes_hold_is_not_taken_for_that_of_others(machine: Machine, tmp_path: Path) -> None:
    box = silent(machine, 31 * GIB, tmp_path, num_slots=3)
    first, second, third = (assignment(units=64) for _ in range(3))
    box.offer(first)
    box.end(first, 10 * GIB)
    assert box.offer(second, third) == [0, 0]
    box.end(second)
    # 10 GiB are held by a free process; the third training has taken nothing of its 10.5 yet, 9.5 are left.
    assert box.num_claimable() == 1


def test_ids_of_the_machine_are_not_taken_for_the_workers_own(machine: Machine, tmp_path: Path) -> None:
    for gpu in machine.gpus:
        gpu.shows = "host"
    box = Box(machine, tmp_path, has_own_process_ids=True)
    trials = [assignment(units=64), assignment(units=64)]
    box.offer(*trials)
    box.grow(trials[0], 7 * GIB)
    slots = [box.slot_of(trial) for trial in trials]
    assert slots[0] is not None
    assert slots[1] is not None
    assert box.placing.device_memory_bytes(slots[0].process_id) == 7 * GIB
    assert box.placing.device_memory_bytes(slots[1].process_id) == 0


def test_a_driver_that_translates_ids_in_a_container_is_believed(machine: Machine, tmp_path: Path) -> None:
    box = Box(machine, tmp_path, has_own_process_ids=True)
    taught(box, 5 * GIB)
    trials = [assignment(units=64) for _ in range(8)]
    box.offer(*trials)
    box.grow(trials[0], 7 * GIB)
    slots = [box.slot_of(trial) for trial in (trials[0], trials[4])]
    assert slots[0] is not None
    assert slots[1] is not None
    assert slots[0].device == slots[1].device
    # Two on one GPU: by what changed alone nobody could tell them apart.
    assert box.placing.device_memory_bytes(slots[0].process_id) == 7 * GIB
    assert box.placing.device_memory_bytes(slots[1].process_id) == 0
    assert box.placing.device_memory_bytes(99_999) is None
