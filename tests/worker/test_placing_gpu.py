from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import nvml
from tests.fakes.box import GIB, Box, assignment, taught
from tests.fakes.nvml import Machine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Four GPUs of 80 GiB."""
    state = nvml.machine(4)
    nvml.install(monkeypatch, state)
    return state


@pytest.fixture
def box(machine: Machine, tmp_path: Path) -> Box:
    """Eight slots on each GPU, of which nothing is known yet."""
    return Box(machine, tmp_path)


def test_without_measurements_one_training_runs_on_each_gpu(box: Box) -> None:
    assert box.num_claimable() == 4
    trials = [assignment(units=64) for _ in range(6)]
    assert box.offer(*trials) == [0, 1, 2, 3, None, None]
    assert box.num_claimable() == 0
    # It ends, and now it is known what they need.
    box.end(trials[0], 10 * GIB)
    box.dispatch()
    assert [box.gpu_of(trial) is not None for trial in trials[4:]] == [True, True]


def test_measured_trainings_fill_all_gpus_evenly_up_to_their_memory(box: Box) -> None:
    taught(box, 18 * GIB)
    trials = [assignment(units=64) for _ in range(20)]
    # 18 GiB and 5 % for each, 79 GiB of each GPU.
    assert box.num_claimable() == 16
    placed = box.offer(*trials)
    assert placed[:16] == [0, 1, 2, 3] * 4
    assert placed[16:] == [None] * 4
    assert box.num_claimable() == 0


def test_memory_that_a_training_will_still_take_is_not_given_away(box: Box) -> None:
    taught(box, 50 * GIB)
    trials = [assignment(units=64) for _ in range(5)]
    # None has allocated anything yet: by free memory alone all five would fit.
    assert box.offer(*trials) == [0, 1, 2, 3, None]
    for trial in trials[:4]:
        box.grow(trial, 50 * GIB)
    box.dispatch()
    assert box.gpu_of(trials[4]) is None


def test_a_free_slot_begins_again_in_the_memory_that_its_process_holds(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = Box(machine, tmp_path, num_slots=2)
    first = assignment(units=64)
    box.offer(first)
    slot = box.slot_of(first)
    box.end(first, 60 * GIB)
    second = assignment(units=64)
    assert box.offer(second) == [0]
    again = box.slot_of(second)
    assert slot is not None
    assert again is not None
    assert again.index == slot.index


def test_other_programs_memory_counts_and_work_goes_on_when_it_is_back(box: Box) -> None:
    taught(box, 30 * GIB)
    for gpu in box.machine.gpus:
        gpu.processes[77] = 60 * GIB
    trial = assignment(units=64)
    assert box.num_claimable() == 0
    assert box.offer(trial) == [None]
    box.machine.gpus[2].processes.clear()
    # One waits, and room is for two of 31.5 GiB.
    assert box.num_claimable() == 1
    box.dispatch()
    assert box.gpu_of(trial) == 2


def test_a_gpu_that_others_have_filled_gets_not_even_an_unknown_training(box: Box) -> None:
    for gpu in box.machine.gpus:
        gpu.processes[77] = 79 * GIB
    assert box.num_claimable() == 0
    assert box.offer(assignment(units=1)) == [None]


def test_a_larger_training_is_predicted_to_need_more(box: Box) -> None:
    for units in (64, 128, 256, 512, 1024):
        one = assignment(units=units)
        assert box.offer(one) != [None]
        slot = box.slot_of(one)
        assert slot is not None
        box.end(one, units * GIB // 64)
        for gpu in box.machine.gpus:
            gpu.processes.clear()
    small = [assignment(units=100) for _ in range(4)]
    assert box.offer(*small) == [0, 1, 2, 3]
    # At most 45 GiB, though nothing of this size was measured: beside it a small one fits, another large one does not.
    large = [assignment(units=1500) for _ in range(5)]
    assert box.offer(*large) == [0, 1, 2, 3, None]
    assert box.offer(assignment(units=100)) == [0]


def test_what_is_too_large_for_every_gpu_is_tried_on_one_of_its_own(box: Box) -> None:
    taught(box, 78 * GIB)
    monster = assignment(units=64)
    # 78 GiB and 5 % exceed 79 GiB.
    assert box.offer(monster) == [0]
    assert box.offer(assignment("other", units=1)) == [1]
    # Even before it has taken any memory, nothing joins it.
    assert box.offer(assignment("other", units=1)) == [2]
    assert box.num_claimable() == 1


def test_training_alone_waits_for_an_empty_gpu_and_nothing_joins_it(box: Box) -> None:
    taught(box, 10 * GIB)
    crowd = [assignment(units=64) for _ in range(8)]
    box.offer(*crowd)
    alone = assignment(units=64, is_alone=True)
    assert box.offer(alone) == [None]
    # The GPU that it waits for is kept free; the others go on to be filled.
    more = [assignment(units=64) for _ in range(3)]
    assert 0 not in box.offer(*more)
    for trial in crowd:
        if box.gpu_of(trial) == 0:
            box.end(trial)
    box.dispatch()
    assert box.gpu_of(alone) == 0
    late = [assignment(units=64) for _ in range(16)]
    assert 0 not in box.offer(*late)


def test_before_a_training_alone_processes_that_hold_memory_are_replaced(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = Box(machine, tmp_path, num_slots=3)
    former = assignment(units=64)
    box.offer(former)
    box.end(former, 60 * GIB)
    alone = assignment(units=64, is_alone=True)
    assert box.offer(alone) == [None]
    assert box.renew() == [0]
    box.dispatch()
    assert box.gpu_of(alone) == 0
    assert machine.gpus[0].used_bytes == 0


def test_a_crew_that_cannot_replace_processes_does_not_wait_for_ever(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = Box(machine, tmp_path, num_slots=3)
    former = assignment(units=64)
    box.offer(former)
    box.end(former, 10 * GIB)
    alone = assignment(units=64, is_alone=True)
    assert box.offer(alone) == [None]
    box.clock.now += 61
    box.dispatch()
    assert box.gpu_of(alone) == 0


def test_free_processes_that_are_in_the_way_are_replaced(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = Box(machine, tmp_path, num_slots=3)
    taught(box, 60 * GIB)
    small = [assignment("small", units=1), assignment("small", units=1)]
    box.offer(small[0])
    box.grow(small[0], 30 * GIB)
    box.end(small[0])
    box.offer(*small[1:])
    blocker = assignment("small", units=1)
    assert box.offer(blocker) == [0]
    box.end(small[1], 30 * GIB)
    box.grow(blocker, 20 * GIB)
    box.end(blocker)
    # 30 + 20 GiB are held by free processes, 29 are free: with the larger of them 59, too little for 63.
    large = assignment(units=64)
    assert box.offer(large) == [None]
    assert len(box.renew()) == 2
    box.dispatch()
    assert box.gpu_of(large) == 0


def test_a_large_training_is_not_passed_over_for_ever(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = Box(machine, tmp_path, num_slots=4)
    for units, size in ((1, 20 * GIB), (64, 70 * GIB)):
        one = assignment(units=units)
        box.offer(one)
        box.end(one, size)
        machine.gpus[0].processes.clear()
    crowd = [assignment(units=1) for _ in range(2)]
    box.offer(*crowd)
    large = assignment(units=64)
    assert box.offer(large) == [None]
    assert box.offer(assignment(units=1)) == [0]
    box.clock.now += 31
    box.dispatch()
    box.end(crowd[0], 20 * GIB)
    # It would fit, but the GPU is kept free now.
    assert box.offer(assignment(units=1)) == [None]


def test_what_no_longer_waits_keeps_no_gpu(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = Box(machine, tmp_path, num_slots=4)
    taught(box, 10 * GIB)
    box.offer(assignment(units=64))
    alone = assignment(units=64, is_alone=True)
    box.offer(alone)
    assert box.num_claimable() == 0
    box.waiting.remove(alone)
    assert box.num_claimable() == 3
    assert box.offer(assignment(units=64)) == [0]


@pytest.mark.parametrize("slots_per_gpu", [None, 2])
def test_a_study_that_requires_a_large_gpu_gets_no_small_one(
    machine: Machine, tmp_path: Path, slots_per_gpu: int | None
) -> None:
    machine.gpus[0].total_bytes = 24 * GIB
    box = Box(machine, tmp_path, slots_per_gpu=slots_per_gpu)
    large = [assignment(units=64, least_bytes=80 * GIB) for _ in range(3)]
    alone = assignment(units=64, least_bytes=80 * GIB, is_alone=True)
    assert sorted(number or 0 for number in box.offer(*large)) == [1, 2, 3]
    assert box.offer(assignment(units=64)) == [0]
    assert box.offer(alone) == [None]
    box.end(large[0])
    box.dispatch()
    assert box.gpu_of(alone) is not None


def test_a_fixed_number_of_slots_needs_no_measurements(machine: Machine, tmp_path: Path) -> None:
    box = Box(machine, tmp_path, num_slots=2, slots_per_gpu=2)
    assert box.num_claimable() == 8
    trials = [assignment(units=64) for _ in range(9)]
    assert box.offer(*trials) == [0, 1, 2, 3, 0, 1, 2, 3, None]
    alone = assignment(units=64, is_alone=True)
    box.waiting.clear()
    assert box.offer(alone) == [None]
    box.end(trials[0])
    box.end(trials[4])
    assert box.offer(assignment(units=64)) == [None]
    box.waiting.reverse()
    box.dispatch()
    assert box.gpu_of(alone) == 0
    assert box.num_claimable() == 0


def test_what_was_learnt_survives_a_restart(machine: Machine, tmp_path: Path) -> None:
    taught(Box(machine, tmp_path), 10 * GIB)
    box = Box(machine, tmp_path)
    assert box.num_claimable() == 28
    assert box.offer(*(assignment(units=64) for _ in range(8))) == [0, 1, 2, 3] * 2


def test_another_objective_or_other_options_are_not_known(box: Box) -> None:
    taught(box, 10 * GIB)
    assert box.offer(assignment("cnn", units=64), assignment("cnn", units=64)) == [0, 1]
    assert box.offer(assignment(units=64, config={"dataset": "large"})) == [2]
    # Beside what nobody knows nothing else begins.
    assert box.offer(assignment(units=64), assignment(units=64)) == [3, 3]


def test_a_long_training_teaches_before_it_ends(box: Box) -> None:
    first = [assignment(units=64) for _ in range(5)]
    assert box.offer(*first) == [0, 1, 2, 3, None]
    box.grow(first[0], 10 * GIB)
    box.clock.now += 119
    box.dispatch()
    assert box.gpu_of(first[4]) is None
    box.clock.now += 2
    box.dispatch()
    assert box.gpu_of(first[4]) is not None


def test_a_process_that_was_larger_before_does_not_make_a_small_training_look_large(box: Box) -> None:
    taught(box, 10 * GIB)
    giant = assignment("giant", units=1)
    box.offer(giant)
    box.end(giant, 60 * GIB)
    small = assignment(units=64)
    # Only one process can take it now.
    for gpu in box.machine.gpus[1:]:
        gpu.processes[77] = 80 * GIB
    assert box.offer(small) == [0]
    box.end(small)
    box.machine.gpus[1].processes.clear()
    # Still 10.5 GiB each: seven fit on the empty GPU.
    assert [box.offer(assignment(units=64)) for _ in range(9)].count([1]) == 7


def test_what_is_not_known_yet_begins_in_a_process_that_holds_nothing(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = Box(machine, tmp_path, num_slots=1)
    former = assignment(units=64)
    box.offer(former)
    box.end(former, 60 * GIB)
    unknown = assignment("cnn", units=1)
    # In the process of the former nobody could see what it takes.
    assert box.offer(unknown) == [None]
    assert box.renew() == [0]
    box.dispatch()
    box.end(unknown, 3 * GIB)
    assert box.placing.choose(assignment("cnn", units=1), box.slots) == 0
    assert box.num_claimable() == 1


def test_as_long_as_predictions_are_vague_empty_processes_are_taken_first(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = Box(machine, tmp_path, num_slots=3)
    for _ in range(2):
        one = assignment(units=64)
        box.offer(one)
        box.end(one, 5 * GIB)
    assert [slot.index for slot in box.slots if machine.gpus[0].processes.get(slot.process_id)] == [0]
    similar = assignment(units=300)
    box.offer(similar)
    slot = box.slot_of(similar)
    assert slot is not None
    assert slot.index == 1
    equal = assignment(units=64)
    box.offer(equal)
    slot = box.slot_of(equal)
    assert slot is not None
    assert slot.index == 0


def test_training_alone_waits_some_minutes_for_what_other_programs_hold(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = machine.gpus[:1]
    box = taught(Box(machine, tmp_path), 60 * GIB)
    machine.gpus[0].processes[77] = 40 * GIB
    early = assignment(units=64, is_alone=True)
    assert box.offer(early) == [None]
    machine.gpus[0].processes.clear()
    box.dispatch()
    assert box.gpu_of(early) == 0
    box.end(early)
    machine.gpus[0].processes.clear()
    machine.gpus[0].processes[77] = 40 * GIB
    late = assignment(units=64, is_alone=True)
    assert box.offer(late) == [None]
    box.clock.now += 601
    box.dispatch()
    assert box.gpu_of(late) == 0


def test_trainings_that_are_too_large_as_a_rule_are_claimed_one_per_gpu(box: Box) -> None:
    taught(box, 79 * GIB + GIB // 2)
    assert box.num_claimable() == 4
