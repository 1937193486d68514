"""The rules of handing trainings to slots, with slots that do nothing by themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from caviar.contract.messages import Assignment, Checkpoint, Finish, Release
from caviar.contract.states import Outcome
from tests.worker.wire import assignment
from worker.channel import Ended, EpochDone, Message, Ready, Setup, Started
from worker.crew import Crew, SlotBroken
from worker.events import SlotExited, SlotSaid
from worker.outbox import Outbox
from worker.slot import Slot


class StillSlot(Slot):
    """Notes what it is told."""

    def __init__(self, index: int, folder: Path) -> None:
        setup = Setup(objectives=(), data_dir=folder, checkpoints_dir=None, resume_dir=folder)
        super().__init__(index, setup, {}, folder / "log", lambda _event: None)
        self.told: list[object] = []

    def start(self) -> None:
        self.process_id += 1
        self.told.append("start")

    def train(self, assignment: Assignment) -> None:
        self.told.append(("train", assignment.lease))

    def stop(self, lease: str, *, is_urgent: bool) -> None:
        self.told.append(("stop", lease, is_urgent))

    def kill(self) -> None:
        self.told.append("kill")


class Yard:
    """A crew of two, its clock and its outbox."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.slots = [StillSlot(index, folder) for index in range(2)]
        self.outbox = Outbox(folder / "outbox.db")
        self.crew = Crew(self.slots, self.outbox, stop_grace_s=60.0, max_growth_bytes=1000, clock=lambda: self.now)
        self.crew.start()

    def say(self, slot: int, message: Message) -> None:
        self.crew.hear(SlotSaid(slot, self.slots[slot].process_id, message))

    def ready(self, *slots: int) -> None:
        for slot in slots:
            self.say(slot, Ready(objectives=[], devices=[], memory_bytes=5000))

    def exit(self, slot: int) -> None:
        self.crew.bury(SlotExited(slot, self.slots[slot].process_id, -9, "last words"))

    def give(self, trial_id: int = 1, *, started: bool = True, **changes: Any) -> str:
        given = assignment(trial_id, **changes)
        self.crew.accept(given)
        self.crew.dispatch()
        if started:
            self.say(0, Started(lease=given.lease))
        return given.lease

    def end(self, lease: str, outcome: Outcome | None = Outcome.COMPLETE, memory_bytes: int = 5000) -> None:
        self.say(0, Ended(lease=lease, outcome=outcome, error=None, memory_bytes=memory_bytes))

    def endings(self) -> list[Finish | Release]:
        return [ending.message for ending in self.outbox.endings()]


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path)
    yield yard
    yard.outbox.close()


def test_only_slots_that_are_ready_get_work(yard: Yard) -> None:
    assert yard.crew.num_free == 0
    yard.ready(1)
    assert yard.crew.num_free == 1
    yard.give(1, started=False)
    yard.give(2, started=False)
    assert yard.slots[0].told == ["start"]
    assert yard.slots[1].told == ["start", ("train", "lease-1-1")]
    assert yard.crew.num_free == 0
    yard.ready(0)
    yard.crew.dispatch()
    assert yard.slots[0].told[-1] == ("train", "lease-2-1")


def test_a_trial_that_is_handed_out_again_is_not_trained_twice(yard: Yard) -> None:
    yard.ready(0, 1)
    yard.give(1)
    yard.give(1)
    assert yard.slots[1].told == ["start"]
    assert yard.outbox.leases() == ["lease-1-1"]


def test_epochs_and_the_end_go_to_the_outbox(yard: Yard) -> None:
    yard.ready(0)
    lease = yard.give()
    yard.say(0, EpochDone(lease=lease, epoch=1, metrics={"val_loss": 0.5}, elapsed_s=1.0))
    yard.end(lease)
    [letter] = yard.outbox.measurements(10)
    assert (letter.measurement.trial_id, letter.measurement.epoch) == (1, 1)
    yard.outbox.remove([letter.id])
    assert yard.endings() == [Finish(lease=lease, outcome=Outcome.COMPLETE)]
    assert yard.crew.is_idle


def test_a_training_that_stopped_because_it_was_asked_to_is_released(yard: Yard) -> None:
    yard.ready(0)
    lease = yard.give()
    yard.crew.stop_all()
    assert yard.slots[0].told[-1] == ("stop", lease, False)
    yard.end(lease, None)
    assert yard.endings() == [Release(lease=lease)]


def test_a_checkpoint_is_told_with_its_epoch_and_a_pause_frees_the_slot(yard: Yard) -> None:
    yard.ready(0)
    lease = yard.give(checkpoint_epochs=[2])
    for epoch in (1, 2, 3):
        done = EpochDone(lease=lease, epoch=epoch, metrics={"val_loss": 0.5}, elapsed_s=1.0, checkpoint=epoch == 2)
        yard.say(0, done)
    kept = [letter.measurement.checkpoint for letter in yard.outbox.measurements(10)]
    assert kept == [False, True, False]
    # As the sender does when the decision is a pause.
    yard.outbox.drop(lease)
    yard.crew.lose(lease)
    assert yard.slots[0].told[-1] == ("stop", lease, True)
    yard.end(lease, None)
    assert (yard.outbox.is_settled, yard.crew.num_free) == (True, 1)


def test_a_trial_whose_checkpoint_is_missing_is_released_with_that_word(yard: Yard) -> None:
    yard.ready(0)
    lease = yard.give(first_epoch=5, checkpoint=Checkpoint(epoch=4))
    missing = "CheckpointMissing: there is no file"
    with capture_logs() as logged:
        yard.say(0, Ended(lease=lease, outcome=None, error=None, missing_checkpoint=missing, memory_bytes=5000))
    assert yard.endings() == [Release(lease=lease, is_checkpoint_missing=True)]
    assert missing in [entry.get("detail") for entry in logged]


def test_a_checkpoint_that_cannot_be_written_is_logged_once_per_trial(yard: Yard) -> None:
    yard.ready(0)
    lease, full = yard.give(), "OSError: no space left on device"
    with capture_logs() as logged:
        for epoch in (2, 8):
            done = EpochDone(lease=lease, epoch=epoch, metrics={"val_loss": 0.5}, elapsed_s=1.0, checkpoint_error=full)
            yard.say(0, done)
    assert [entry.get("detail") for entry in logged].count(full) == 1
    assert [letter.measurement.checkpoint for letter in yard.outbox.measurements(10)] == [False, False]


def test_at_the_end_what_has_not_begun_is_released_and_so_is_what_still_comes(yard: Yard) -> None:
    first = yard.give(1, started=False)
    yard.crew.stop_all()
    second = yard.give(2, started=False)
    assert yard.endings() == [Release(lease=first), Release(lease=second)]
    assert yard.crew.is_idle


def test_of_a_lost_trial_nothing_is_reported(yard: Yard) -> None:
    yard.ready(0)
    lease = yard.give()
    yard.outbox.drop(lease)
    yard.crew.lose(lease)
    yard.crew.lose(lease)
    assert yard.slots[0].told.count(("stop", lease, True)) == 1
    yard.say(0, EpochDone(lease=lease, epoch=1, metrics={"val_loss": 0.5}, elapsed_s=1.0))
    yard.end(lease, Outcome.COMPLETE)
    assert yard.outbox.is_settled
    assert yard.crew.is_idle


def test_a_lost_trial_that_has_not_begun_never_does(yard: Yard) -> None:
    lease = yard.give(1, started=False)
    yard.crew.lose(lease)
    yard.ready(0)
    yard.crew.dispatch()
    assert yard.slots[0].told == ["start"]


def test_a_crash_is_the_failure_of_its_trial_and_the_slot_comes_back(yard: Yard) -> None:
    yard.ready(0)
    lease = yard.give()
    yard.exit(0)
    [finish] = yard.endings()
    assert isinstance(finish, Finish)
    assert finish.error is not None
    assert (finish.lease, finish.outcome, finish.error.kind) == (lease, Outcome.FAILED, "killed")
    assert finish.error.traceback == "last words"
    assert yard.slots[0].told[-1] == "start"


def test_a_crash_between_two_trainings_is_not_blamed_on_the_next(yard: Yard) -> None:
    yard.ready(0)
    lease = yard.give(started=False)
    yard.exit(0)
    assert yard.endings() == []
    yard.ready(0)
    yard.crew.dispatch()
    assert yard.slots[0].told[-1] == ("train", lease)


def test_the_end_of_a_former_process_says_nothing_about_the_present_one(yard: Yard) -> None:
    yard.ready(0)
    yard.give()
    yard.crew.bury(SlotExited(0, yard.slots[0].process_id - 1, -9, ""))
    assert yard.endings() == []


def test_processes_that_never_get_ready_end_the_worker(yard: Yard) -> None:
    yard.exit(0)
    yard.exit(0)
    with pytest.raises(SlotBroken, match="last words"):
        yard.exit(0)


def test_a_training_that_does_not_stop_is_killed_after_its_grace(yard: Yard) -> None:
    yard.ready(0)
    lease = yard.give()
    assert yard.crew.next_deadline() == math.inf
    yard.crew.lose(lease)
    assert yard.crew.next_deadline() == 160.0
    yard.now = 159.0
    yard.crew.kill_overdue()
    assert "kill" not in yard.slots[0].told
    yard.now = 160.0
    yard.crew.kill_overdue()
    yard.crew.kill_overdue()
    assert yard.slots[0].told.count("kill") == 1


def test_a_training_that_ignores_its_time_limit_is_killed_too(yard: Yard) -> None:
    yard.ready(0)
    yard.give(max_trial_seconds=30.0)
    assert yard.crew.next_deadline() == 190.0


@pytest.mark.parametrize(("outcome", "memory_bytes", "is_renewed"), [
    (Outcome.COMPLETE, 6000, False), (Outcome.COMPLETE, 6001, True), (Outcome.OUT_OF_MEMORY, 5000, True),
])  # fmt: skip
def test_a_process_that_has_grown_or_run_out_of_memory_is_replaced(
    yard: Yard, outcome: Outcome, memory_bytes: int, is_renewed: bool
) -> None:
    yard.ready(0)
    yard.end(yard.give(), outcome, memory_bytes)
    assert yard.slots[0].told.count("start") == 1 + is_renewed
    assert yard.crew.num_free == (0 if is_renewed else 1)
