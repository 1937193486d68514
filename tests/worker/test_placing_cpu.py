from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from caviar.contract.messages import Assignment
from tests.fakes.box import assignment
from worker import cores
from worker.placing import SlotView
from worker.placing.cpu import CpuPlacing


def slots(*trainings: Assignment | None) -> list[SlotView]:
    return [SlotView(i, None, one is None, 100 + i, one) for i, one in enumerate(trainings)]


def test_the_first_free_slot_is_taken() -> None:
    placing = CpuPlacing(3)
    assert placing.choose(assignment(), slots(assignment(), None, None)) == 1
    assert placing.choose(assignment(), slots(assignment(), assignment(), assignment())) is None


def test_a_slot_whose_process_starts_is_not_free() -> None:
    starting = [replace(slot, is_free=False) for slot in slots(None, None)]
    assert CpuPlacing(2).choose(assignment(), starting) is None
    assert CpuPlacing(2).num_claimable(starting, []) == 0


def test_as_many_are_claimed_as_slots_are_free() -> None:
    placing = CpuPlacing(3)
    assert placing.num_claimable(slots(None, None, assignment()), []) == 2
    assert placing.num_claimable(slots(None, None, assignment()), [assignment()]) == 1
    assert placing.num_claimable(slots(None), [assignment(), assignment()]) == 0


def test_training_alone_waits_until_all_others_have_ended_and_none_joins_it() -> None:
    placing = CpuPlacing(2)
    alone, other, running = assignment(is_alone=True), assignment(), assignment()
    assert placing.choose(alone, slots(running, None)) is None
    # Nothing else starts meanwhile, however often it is asked for in between.
    assert placing.choose(other, slots(running, None)) is None
    assert placing.num_claimable(slots(running, None), [alone, other]) == 0
    assert placing.choose(alone, slots(None, None)) == 0
    assert placing.choose(other, slots(alone, None)) is None
    assert placing.num_claimable(slots(alone, None), [other]) == 0
    assert placing.choose(other, slots(None, None)) == 0


def test_one_after_the_other_is_alone() -> None:
    placing = CpuPlacing(2)
    first, second = assignment(is_alone=True), assignment(is_alone=True)
    assert placing.choose(first, slots(None, None)) == 0
    assert placing.choose(second, slots(first, None)) is None
    assert placing.choose(second, slots(None, None)) == 0


def test_a_training_alone_that_was_taken_away_blocks_nobody() -> None:
    placing = CpuPlacing(2)
    gone, other = assignment(is_alone=True), assignment()
    running = slots(assignment(), None)
    assert placing.choose(gone, running) is None
    assert placing.choose(other, running) is None
    # Asked again without the one that waited: it is not there any more.
    assert placing.choose(other, running) == 1
    assert placing.choose(gone, running) is None
    assert placing.num_claimable(running, []) == 1


def test_the_processor_is_told_as_one_device(tmp_path: Path) -> None:
    models = tmp_path / "cpuinfo"
    models.write_text("processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\n")
    (device,) = CpuPlacing(3, models=models).devices()
    assert (device.kind, device.name, device.uuid) == ("cpu", "Fast CPU @ 3 GHz", None)
    assert (device.num_slots, device.num_cores) == (3, cores.usable_cores())
    assert device.memory_total_bytes is not None
    assert device.memory_used_bytes is not None
    assert 0 < device.memory_used_bytes < device.memory_total_bytes
    (unnamed,) = CpuPlacing(1, models=tmp_path / "none").devices()
    assert unnamed.name


def test_a_cpu_has_no_memory_of_its_own_and_no_problems() -> None:
    placing = CpuPlacing(1)
    (slot,) = slots(None)
    placing.learn(assignment(), 5, slot=slot)
    assert placing.device_memory_bytes(slot.process_id) is None
    assert placing.to_renew([slot]) == []
    assert placing.problem() is None
