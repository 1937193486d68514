"""Trials that go on from a checkpoint wait in the crew until it is here, and hold up no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caviar.contract.messages import Assignment, Checkpoint, Release
from tests.worker.wire import assignment, measurement
from tests.worker.yard import Yard
from worker.events import Fetched

RESUMED = assignment(1, checkpoint=Checkpoint(epoch=2), first_epoch=3, max_epochs=9, checkpoint_epochs=[4])


@pytest.fixture
def asked() -> list[Assignment]:
    return []


@pytest.fixture
def yard(tmp_path: Path, asked: list[Assignment]) -> Iterator[Yard]:
    yard = Yard(tmp_path, fetch=asked.append)
    yard.ready(0)
    yield yard
    yard.outbox.close()


def trained(yard: Yard) -> list[object]:
    return [told for told in yard.slots[0].told if told != "start"]


def test_a_trial_waits_for_its_checkpoint_and_others_overtake_it(yard: Yard, asked: list[Assignment]) -> None:
    yard.ready(1)
    yard.crew.accept(RESUMED)
    assert (yard.crew.num_claimable, yard.crew.is_idle) == (1, False)
    yard.crew.accept(assignment(2))
    yard.crew.dispatch()
    assert trained(yard) == [("train", "lease-2-1")]
    assert (asked, yard.outbox.leases()) == ([RESUMED], ["lease-1-1", "lease-2-1"])
    yard.crew.fetched(Fetched(RESUMED))
    yard.crew.dispatch()
    assert yard.slots[1].told[-1] == ("train", "lease-1-1")


def test_a_trial_that_is_handed_out_again_is_fetched_once(yard: Yard, asked: list[Assignment]) -> None:
    yard.crew.accept(RESUMED)
    yard.crew.accept(RESUMED)
    assert asked == [RESUMED]


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_trial_whose_checkpoint_cannot_be_had_is_given_back(yard: Yard, *, is_lost: bool) -> None:
    yard.crew.accept(RESUMED)
    yard.crew.fetched(Fetched(RESUMED, "there is none", is_lost=is_lost))
    yard.crew.dispatch()
    assert yard.endings() == [Release(lease="lease-1-1", is_checkpoint_missing=is_lost)]
    assert (trained(yard), yard.crew.is_idle) == ([], True)


def test_what_was_lost_meanwhile_is_forgotten(yard: Yard) -> None:
    yard.crew.accept(RESUMED)
    yard.outbox.drop("lease-1-1")
    yard.crew.lose("lease-1-1")
    yard.crew.fetched(Fetched(RESUMED))
    yard.crew.fetched(Fetched(RESUMED, "there is none", is_lost=True))
    yard.crew.dispatch()
    assert (trained(yard), yard.endings()) == ([], [])


def test_at_the_end_of_the_worker_it_is_given_back_as_it_came(yard: Yard, asked: list[Assignment]) -> None:
    yard.crew.accept(RESUMED)
    yard.crew.stop_all()
    yard.crew.fetched(Fetched(RESUMED, "there is none", is_lost=True))
    late = RESUMED.model_copy(update={"lease": "lease-1-2"})
    yard.crew.accept(late)
    assert yard.endings() == [Release(lease="lease-1-1"), Release(lease="lease-1-2")]
    assert asked == [RESUMED]


def test_rungs_are_known_to_the_outbox(yard: Yard) -> None:
    yard.crew.accept(RESUMED)
    for epoch in (3, 4, 5):
        yard.outbox.put(measurement(1, epoch, checkpoint=True))
    assert [letter.measurement.epoch for letter in yard.outbox.uploads()] == [4]
