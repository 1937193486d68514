"""What happens to trainings that take too long or too much: deadlines, epochs, memory, the kernel's own kills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from caviar.contract.messages import Finish
from caviar.contract.states import Outcome
from tests.worker.yard import Yard
from worker.channel import EpochDone, Started

GIB = 1024**3
Made = Callable[..., Yard]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Made]:
    """Makes a crew with limits; its outbox is closed at the end."""
    made: list[Yard] = []

    def one(**limits: Any) -> Yard:
        made.append(Yard(tmp_path, **limits))
        made[0].ready(0, 1)
        return made[0]

    yield one
    made[0].outbox.close()


def after(yard: Yard, seconds: float) -> list[object]:
    """What slot 0 is told once so much time has passed."""
    yard.later(seconds)
    yard.crew.tick()
    return yard.slots[0].told


def finish_of(yard: Yard) -> Finish:
    [finish] = yard.endings()
    assert isinstance(finish, Finish)
    return finish


def test_a_training_that_does_not_stop_is_killed_after_its_grace(make: Made) -> None:
    yard = make()
    lease = yard.give()
    yard.later(0.5)
    yard.crew.lose(lease)
    assert "kill" not in after(yard, 59.9)
    after(yard, 0.1)
    after(yard, 0.1)
    assert yard.slots[0].told.count("kill") == 1
    yard.exit(0)
    assert yard.endings() == []


def test_a_training_that_ignores_its_time_limit_ends_with_what_it_has_reported(make: Made) -> None:
    yard = make()
    yard.give(max_trial_seconds=30.0)
    assert "kill" not in after(yard, 89.9)
    assert "kill" in after(yard, 0.1)
    yard.exit(0)
    assert (finish_of(yard).outcome, finish_of(yard).error) == (Outcome.COMPLETE, None)


def test_without_an_epoch_for_too_long_a_training_shows_where_it_is_and_is_killed(make: Made) -> None:
    yard = make(max_epoch_s=20.0)
    lease = yard.give(started=False)
    after(yard, 15.0)
    yard.say(0, Started(lease=lease))
    after(yard, 19.0)
    yard.say(0, EpochDone(lease=lease, epoch=1, metrics={"val_loss": 0.5}, elapsed_s=19.0))
    assert "trace" not in after(yard, 19.9)
    assert after(yard, 0.1)[-1] == "trace"
    assert after(yard, 1.0)[-1] == "kill"
    yard.exit(0)
    yard.outbox.remove(letter.id for letter in yard.outbox.measurements(1))
    finish = finish_of(yard)
    assert finish.error is not None
    assert (finish.outcome, finish.error.kind) == (Outcome.STALLED, "stalled")
    assert "within 20 s" in finish.error.message


def test_the_loop_is_told_when_there_is_something_to_do(make: Made) -> None:
    yard = make()
    yard.crew.tick()
    assert yard.crew.next_deadline() == 101.0
    yard.give(max_trial_seconds=0.1)
    yard.later(59.5)
    yard.crew.tick()
    assert yard.crew.next_deadline() == pytest.approx(160.1)


def test_a_process_beyond_its_limit_is_killed_and_its_trial_is_out_of_memory(make: Made) -> None:
    yard = make(max_memory_bytes=8 * GIB)
    yard.give()
    yard.memory.use(1001, 8 * GIB)
    assert "kill" not in after(yard, 1.0)
    yard.memory.use(1001, 9 * GIB)
    assert "kill" in after(yard, 1.0)
    yard.exit(0)
    finish = finish_of(yard)
    assert finish.error is not None
    assert finish.facts is not None
    assert finish.outcome is Outcome.OUT_OF_MEMORY
    assert "used 9,216 MiB of memory, its limit is 8,192 MiB" in finish.error.message
    assert (finish.facts.peak_memory_bytes, finish.facts.is_alone) == (9 * GIB, True)
    # Such an end says nothing against the slot.
    assert yard.states()[0] == ("starting", None)


def test_when_the_machine_is_short_of_memory_the_largest_process_goes_and_no_other(make: Made) -> None:
    yard = make(memory_floor_bytes=GIB)
    yard.give(1)
    yard.give(2, started=False)
    yard.say(1, Started(lease="lease-2-1"))
    yard.memory.use(1001, 2 * GIB)
    yard.memory.use(2001, 3 * GIB)
    assert "kill" not in after(yard, 1.0)
    yard.memory.set_available(GIB // 2)
    for _ in range(3):
        after(yard, 1.0)
    assert [slot.told.count("kill") for slot in yard.slots] == [0, 1]
    yard.exit(1)
    finish = finish_of(yard)
    assert finish.error is not None
    assert (finish.lease, finish.outcome) == ("lease-2-1", Outcome.OUT_OF_MEMORY)
    assert "used 3,072 MiB" in finish.error.message
    assert "only 512 MiB" in finish.error.message
    # If that was not enough, the next one goes; a new process comes once there may be room again.
    assert "kill" in after(yard, 1.0)
    state, detail = yard.states()[1]
    assert (state, yard.slots[1].told[-1]) == ("paused", "close")
    assert "only 512 MiB" in (detail or "")
    yard.memory.set_available(100 * GIB)
    yard.exit(0)
    after(yard, 31.0)
    assert [slot.told[-1] for slot in yard.slots] == ["start", "start"]


@pytest.mark.parametrize(("num_kills", "status", "outcome"), [
    (5, -9, Outcome.OUT_OF_MEMORY), (4, -9, Outcome.FAILED), (5, -11, Outcome.FAILED),
])  # fmt: skip
def test_a_kill_by_the_kernel_for_want_of_memory_is_told_from_others(
    make: Made, tmp_path: Path, num_kills: int, status: int, outcome: Outcome
) -> None:
    yard = make()
    yard.memory.count_kills(4)
    for _ in range(6):
        after(yard, 1.0)
    yard.give()
    yard.memory.use(1001, 6 * GIB)
    after(yard, 1.0)
    yard.memory.count_kills(num_kills)
    # The count may be seen to have risen before the death is.
    after(yard, 1.0)
    yard.exit(0, status)
    finish = finish_of(yard)
    assert finish.error is not None
    assert finish.outcome is outcome
    assert ("used 6,144 MiB" in finish.error.message) == (outcome is Outcome.OUT_OF_MEMORY)


def test_a_slot_that_fails_at_once_again_and_again_pauses_longer_and_longer(make: Made) -> None:
    yard = make()
    yard.slots[1].told.clear()
    yard.placing.refused = set()
    waits = []
    trial_id = 0
    for _ in range(4):
        while yard.states()[0][0] != "paused":
            trial_id += 1
            yard.end(yard.give(trial_id), Outcome.FAILED)
        assert yard.states()[0] == ("paused", f"trial {trial_id}: failed")
        begin = yard.now
        while yard.states()[0][0] == "paused":
            after(yard, 1.0)
        waits.append((trial_id, yard.now - begin))
    assert waits == [(3, 30.0), (4, 60.0), (5, 120.0), (6, 240.0)]
    yard.end(yard.give(7), Outcome.COMPLETE)
    yard.end(yard.give(8), Outcome.FAILED)
    yard.end(yard.give(9), Outcome.FAILED)
    assert yard.states()[0] == ("idle", None)


@pytest.mark.parametrize("outcome", [Outcome.INFEASIBLE, Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.COMPLETE])
def test_other_quick_ends_do_not_pause_a_slot(make: Made, outcome: Outcome) -> None:
    yard = make()
    for trial_id in range(1, 6):
        yard.end(yard.give(trial_id), outcome)
        if outcome is Outcome.OUT_OF_MEMORY:
            yard.ready(0)
    assert yard.states()[0] == ("idle", None)


def test_late_failures_do_not_pause_a_slot(make: Made) -> None:
    yard = make()
    for trial_id in range(1, 6):
        lease = yard.give(trial_id)
        yard.later(10.0)
        yard.end(lease, Outcome.FAILED)
    assert yard.states()[0] == ("idle", None)


def test_processes_that_do_not_start_any_more_pause_their_slot(make: Made) -> None:
    yard = make()
    for _ in range(3):
        yard.exit(0)
    # The process that was ready died while it trained nothing; then two did not start.
    state, detail = yard.states()[0]
    assert state == "paused"
    assert detail is not None
    assert "last words" in detail
    assert yard.slots[0].told[-1] == "close"
    # What a process still says that is gone counts for nothing.
    yard.exit(0)
    assert after(yard, 29.0)[-1] == "close"
    assert after(yard, 1.0)[-1] == "start"
    assert yard.states() == [("starting", None), ("idle", None)]


def test_a_limit_that_no_process_keeps_pauses_the_slot(make: Made) -> None:
    yard = make(max_memory_bytes=GIB)
    for number in range(3):
        yard.memory.use(yard.slots[0].process_id, 2 * GIB)
        assert after(yard, 1.0).count("kill") == number + 1
        yard.exit(0)
    state, detail = yard.states()[0]
    assert state == "paused"
    assert "its limit is 1,024 MiB" in (detail or "")
