"""The rules of handing trainings to slots, with slots that do nothing by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from caviar.contract.messages import Checkpoint, Finish, Release
from caviar.contract.states import Outcome
from tests.worker.yard import Yard
from worker.channel import Broken, Ended, EpochDone, Stale, Started
from worker.crew import SlotBroken
from worker.events import SlotExited


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path)
    yield yard
    yard.outbox.close()


def test_only_slots_that_are_ready_get_work(yard: Yard) -> None:
    assert yard.crew.num_claimable == 0
    yard.ready(1)
    assert yard.crew.num_claimable == 1
    yard.give(1, started=False)
    yard.give(2, started=False)
    assert yard.slots[0].told == ["start"]
    assert yard.slots[1].told == ["start", ("train", "lease-1-1")]
    assert yard.crew.num_claimable == 0
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
    [finish] = yard.endings()
    assert isinstance(finish, Finish)
    assert (finish.lease, finish.outcome, finish.error) == (lease, Outcome.COMPLETE, None)
    assert yard.crew.is_idle


def test_what_is_logged_of_a_training_names_its_trial(yard: Yard) -> None:
    yard.ready(0)
    with capture_logs(processors=[merge_contextvars]) as logged:
        lease = yard.give(7)
        yard.say(0, EpochDone(lease=lease, epoch=1, metrics={"val_loss": 0.5}, elapsed_s=1.0, checkpoint_error="full"))
        yard.crew.bury(SlotExited(0, yard.slots[0].process_id, 1, ""))
    told = {entry["event"]: entry for entry in logged if "trial_id" in entry}
    assert set(told) == {"training", "checkpoint_not_kept", "training_process_died", "training_failed"}
    for entry in told.values():
        assert (entry["study"], entry["trial_id"], entry["number"], entry["attempt"]) == ("tests", 7, 6, 1)


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
    [upload] = yard.outbox.uploads()
    yard.outbox.resolve(upload.id, is_kept=True)
    kept = [letter.measurement.checkpoint for letter in yard.outbox.measurements(10)]
    assert kept == [False, True, False]
    # As the sender does when the decision is a pause.
    yard.outbox.drop(lease)
    yard.crew.lose(lease)
    assert yard.slots[0].told[-1] == ("stop", lease, True)
    yard.end(lease, None)
    assert (yard.outbox.is_settled, yard.crew.num_claimable) == (True, 1)


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


@pytest.mark.parametrize(("outcome", "memory_bytes", "is_renewed"), [
    (Outcome.COMPLETE, 6000, False), (Outcome.COMPLETE, 6001, True), (Outcome.OUT_OF_MEMORY, 5000, True),
])  # fmt: skip
def test_a_process_that_has_grown_or_run_out_of_memory_is_replaced(
    yard: Yard, outcome: Outcome, memory_bytes: int, is_renewed: bool
) -> None:
    yard.ready(0)
    yard.end(yard.give(), outcome, memory_bytes)
    assert yard.slots[0].told.count("start") == 1 + is_renewed
    assert yard.crew.num_claimable == (0 if is_renewed else 1)


def test_an_assignment_without_room_waits_and_others_may_pass(yard: Yard) -> None:
    yard.ready(0, 1)
    yard.placing.refused = {1}
    large, small = yard.give(1, started=False), yard.give(2, started=False)
    assert [told for slot in yard.slots for told in slot.told if isinstance(told, tuple)] == [("train", small)]
    assert yard.crew.num_claimable == 0
    yard.placing.refused = set()
    yard.crew.dispatch()
    assert yard.slots[1].told[-1] == ("train", large)


def test_an_assignment_that_finds_no_room_for_long_is_left_to_others(yard: Yard) -> None:
    yard.ready(0, 1)
    yard.placing.refused = {1}
    large = yard.give(1, started=False)
    yard.later(599.0)
    yard.crew.dispatch()
    assert yard.endings() == []
    yard.later(1.0)
    yard.crew.dispatch()
    assert yard.endings() == [Release(lease=large)]
    assert yard.crew.is_idle


def test_what_has_no_room_is_given_back_at_a_drain_while_the_rest_goes_on(yard: Yard) -> None:
    yard.ready(0, 1)
    yard.placing.refused = {2}
    running, waiting = yard.give(1), yard.give(2, started=False)
    yard.crew.refuse()
    late = yard.give(3, started=False)
    assert yard.endings() == [Release(lease=waiting), Release(lease=late)]
    assert ("stop", running, False) not in yard.slots[0].told
    yard.crew.welcome()
    yard.give(4, started=False)
    assert yard.slots[1].told[-1] == ("train", "lease-4-1")


def test_the_peaks_of_trainings_are_learnt_but_for_failures(yard: Yard) -> None:
    yard.ready(0)
    for trial_id, outcome in enumerate([Outcome.COMPLETE, Outcome.FAILED, Outcome.OUT_OF_MEMORY], start=1):
        lease = yard.give(trial_id)
        if outcome is not Outcome.OUT_OF_MEMORY:
            yard.say(0, EpochDone(lease=lease, epoch=1, metrics={"val_loss": 0.5}, elapsed_s=1.0))
        yard.end(lease, outcome)
    assert yard.placing.learnt == [1, 3]


def test_a_process_that_holds_memory_that_others_need_is_replaced(yard: Yard) -> None:
    yard.ready(0, 1)
    yard.placing.renewed = [1]
    yard.crew.dispatch()
    assert [slot.told for slot in yard.slots] == [["start"], ["start", "start"]]


def test_a_changed_objective_is_trained_by_a_new_process(yard: Yard) -> None:
    yard.ready(0)
    lease, waiting = yard.give(1, started=False), yard.give(2, started=False)
    yard.say(0, Stale(lease=lease))
    assert yard.slots[0].told[-1] == "start"
    assert yard.endings() == []
    yard.ready(0)
    yard.crew.dispatch()
    assert yard.slots[0].told == ["start", ("train", lease), "start", ("train", lease)]
    assert not yard.crew.is_idle
    yard.end(lease)
    yard.crew.dispatch()
    assert yard.slots[0].told[4:] == [("train", waiting)]


def test_only_before_the_first_process_is_ready_a_broken_objective_ends_the_worker(yard: Yard) -> None:
    assert [slot.setup.is_first for slot in yard.slots] == [True, True]
    with pytest.raises(SlotBroken, match="no such file"):
        yard.say(0, Broken(message="no such file"))
    yard.ready(1)
    assert [slot.setup.is_first for slot in yard.slots] == [False, False]
    yard.say(0, Broken(message="no such file"))
    yard.exit(0)
    assert yard.states() == [("paused", "no such file"), ("idle", None)]


def test_a_slot_whose_device_is_missing_pauses_and_without_any_the_worker_ends(yard: Yard) -> None:
    for slot in (0, 1):
        yard.say(slot, Broken(message="no GPU is seen", is_slots_own=True))
    yard.exit(0)
    assert yard.states()[0] == ("paused", "no GPU is seen")
    with pytest.raises(SlotBroken, match="no GPU is seen"):
        yard.exit(1)


def test_a_device_that_is_missed_at_a_trial_leaves_the_trial_to_another_slot(yard: Yard) -> None:
    yard.ready(0, 1)
    lease = yard.give(1, started=False)
    yard.say(0, Broken(message="it computes on the CPU", is_slots_own=True))
    yard.exit(0)
    yard.crew.dispatch()
    assert yard.endings() == []
    assert yard.slots[1].told[-1] == ("train", lease)


def test_devices_that_are_gone_for_good_end_the_worker(yard: Yard) -> None:
    yard.placing.trouble = "all GPUs are gone"
    yard.later(1.0)
    with pytest.raises(SlotBroken, match="all GPUs are gone"):
        yard.crew.tick()


def test_the_first_epoch_and_the_end_tell_the_circumstances(yard: Yard) -> None:
    yard.ready(0, 1)
    first = yard.give(1, started=False)
    yard.say(0, Started(lease=first, code_version="0123456789ab"))
    yard.memory.use(yard.slots[0].process_id, 7000, peak_bytes=9000)
    yard.later(1.0)
    yard.crew.tick()
    for epoch in (1, 2):
        yard.say(0, EpochDone(lease=first, epoch=epoch, metrics={"val_loss": 0.5}, elapsed_s=1.0))
    yard.slots[0].tail = "epoch 1\n"
    yard.give(2, started=False)
    yard.say(0, Ended(lease=first, outcome=Outcome.COMPLETE, error=None, memory_bytes=0, peak_memory_bytes=8000))
    one, two = [letter.measurement.facts for letter in yard.outbox.measurements(10)]
    assert one is not None
    assert (one.slot, one.device, one.device_name, one.backend) == (0, "cpu", "a test's CPU", "tensorflow")
    assert (one.versions, one.code_version, one.peak_memory_bytes) == ({"keras": "3"}, "0123456789ab", None)
    assert two is None
    yard.outbox.remove(letter.id for letter in yard.outbox.measurements(10))
    [finish] = yard.endings()
    assert isinstance(finish, Finish)
    assert finish.facts is not None
    assert (finish.facts.peak_memory_bytes, finish.facts.is_alone, finish.log_tail) == (8000, False, "epoch 1\n")
    assert finish.facts.code_version == "0123456789ab"
