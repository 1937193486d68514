"""The outbox: order, repeats, and what is left after a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from caviar.contract.messages import Finish, Release
from caviar.contract.states import Outcome
from tests.worker.wire import measurement
from worker.outbox import Outbox

DONE = Finish(lease="lease-1-1", outcome=Outcome.COMPLETE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    outbox = Outbox(path)
    yield outbox
    outbox.close()


def epochs(outbox: Outbox) -> list[tuple[int, int]]:
    return [(letter.measurement.trial_id, letter.measurement.epoch) for letter in outbox.measurements(100)]


def test_measurements_keep_the_order_in_which_they_came(outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1")
    outbox.hold(2, "lease-2-1")
    for trial_id, epoch in [(1, 1), (2, 1), (1, 2), (2, 2)]:
        outbox.put(measurement(trial_id, epoch))
    assert epochs(outbox) == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert len(outbox.measurements(3)) == 3


def test_a_repeated_epoch_is_stored_once(outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1")
    outbox.put(measurement(1, 1))
    outbox.put(measurement(1, 1))
    assert epochs(outbox) == [(1, 1)]


def test_two_attempts_of_a_trial_never_share_a_request(outbox: Outbox) -> None:
    outbox.hold(1, "old")
    outbox.hold(1, "new")
    outbox.put(measurement(1, 1, lease="old"))
    outbox.put(measurement(1, 1, lease="new"))
    [letter] = outbox.measurements(100)
    assert letter.measurement.lease == "old"
    outbox.remove([letter.id])
    [letter] = outbox.measurements(100)
    assert letter.measurement.lease == "new"


def test_an_ending_waits_for_the_measurements_of_its_trial_only(outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1")
    outbox.hold(2, "lease-2-1")
    outbox.put(measurement(1, 1))
    outbox.end(DONE)
    outbox.end(Release(lease="lease-2-1"))
    assert [ending.message for ending in outbox.endings()] == [Release(lease="lease-2-1")]
    outbox.remove(letter.id for letter in outbox.measurements(100))
    assert [ending.message for ending in outbox.endings()] == [DONE, Release(lease="lease-2-1")]


def test_the_first_ending_counts(outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1")
    outbox.end(DONE)
    outbox.end(Release(lease="lease-1-1"))
    assert [ending.message for ending in outbox.endings()] == [DONE]


def test_a_dropped_lease_takes_everything_along_and_lets_nothing_in(outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1")
    outbox.put(measurement(1, 1))
    outbox.end(DONE)
    outbox.drop("lease-1-1")
    outbox.put(measurement(1, 2))
    outbox.end(DONE)
    assert outbox.is_settled
    assert outbox.leases() == []
    assert epochs(outbox) == []


def test_it_is_settled_when_nothing_waits_for_delivery(outbox: Outbox) -> None:
    assert outbox.is_settled
    outbox.hold(1, "lease-1-1")
    assert outbox.is_settled
    outbox.put(measurement(1, 1))
    assert not outbox.is_settled
    outbox.remove(letter.id for letter in outbox.measurements(100))
    assert outbox.is_settled
    outbox.end(DONE)
    assert not outbox.is_settled


def test_leases_of_a_former_worker_are_delivered_but_not_renewed(path: Path, outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1")
    outbox.put(measurement(1, 1))
    successor = Outbox(path)
    successor.hold(2, "lease-2-1")
    assert successor.leases() == ["lease-2-1"]
    assert epochs(successor) == [(1, 1)]
    successor.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from caviar.contract.messages import Finish
from caviar.contract.states import Outcome
from tests.worker.wire import measurement
from worker.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]))
for trial_id in (1, 2):
    outbox.hold(trial_id, f"lease-{trial_id}-1")
    for epoch in range(1, 4):
        outbox.put(measurement(trial_id, epoch))
outbox.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_lost_when_the_worker_is_killed(path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    outbox = Outbox(path)
    assert outbox.release_unfinished() == ["lease-2-1"]
    assert epochs(outbox) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    outbox.remove(letter.id for letter in outbox.measurements(100))
    assert [ending.message for ending in outbox.endings()] == [DONE, Release(lease="lease-2-1")]
    outbox.close()


def test_another_file_is_refused(path: Path) -> None:
    path.write_text("this is no database, but long enough to look like a file of some kind")
    with pytest.raises(sqlite3.DatabaseError):
        Outbox(path)
