"""The outbox: order, repeats, and what is left after a kill."""

from __future__ import annotations

import contextlib
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
from worker.outbox import Outbox, OutboxBroken, Weights, open_outbox

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


def test_what_waits_for_its_checkpoint_holds_up_its_own_lease_alone(outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1")
    outbox.hold(2, "lease-2-1")
    for epoch in (1, 2, 3):
        outbox.put(measurement(1, epoch, checkpoint=epoch == 2))
        outbox.put(measurement(2, epoch))
    assert epochs(outbox) == [(1, 1), (2, 1), (2, 2), (2, 3)]
    [letter] = outbox.uploads()
    assert (letter.measurement.epoch, outbox.uploads()) == (2, [letter])
    outbox.resolve(letter.id, is_kept=True)
    assert outbox.uploads() == []
    letters = [letter for letter in outbox.measurements(100) if letter.measurement.trial_id == 1]
    assert [(letter.measurement.epoch, letter.measurement.checkpoint) for letter in letters] == [
        (1, False), (2, True), (3, False),
    ]  # fmt: skip


def test_a_checkpoint_that_is_given_up_is_told_so(outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1")
    outbox.put(measurement(1, 1, checkpoint=True))
    [letter] = outbox.uploads()
    outbox.resolve(letter.id, is_kept=False)
    # Whoever comes later with another answer comes too late.
    outbox.resolve(letter.id, is_kept=True)
    [left] = outbox.measurements(100)
    assert left.measurement == measurement(1, 1, checkpoint=False)


def test_what_waits_survives_the_worker_and_goes_with_its_lease(path: Path, outbox: Outbox) -> None:
    outbox.hold(1, "lease-1-1", rungs=[2])
    for epoch in (1, 2, 3):
        outbox.put(measurement(1, epoch, checkpoint=True))
    successor = Outbox(path)
    assert [letter.measurement.epoch for letter in successor.uploads()] == [2]
    successor.drop("lease-1-1")
    assert (successor.uploads(), successor.is_settled) == ([], True)
    successor.close()


@pytest.mark.parametrize("is_wanted", [True, False])
def test_what_becomes_of_the_weights_is_known_once_the_lease_is_gone(outbox: Outbox, *, is_wanted: bool) -> None:
    outbox.hold(1, "lease-1-1")
    assert outbox.weights() == []
    outbox.drop("lease-1-1", are_weights_wanted=is_wanted)
    assert outbox.weights() == [Weights("lease-1-1", 1, is_wanted)]
    # A second loss of the same lease changes nothing.
    outbox.drop("lease-1-1")
    assert outbox.weights() == [Weights("lease-1-1", 1, is_wanted)]
    assert outbox.is_settled is not is_wanted
    outbox.forget_weights("lease-1-1")
    assert (outbox.weights(), outbox.is_settled) == ([], True)


FORMER_SCHEMA = """
CREATE TABLE leases (
    lease TEXT PRIMARY KEY,
    trial_id INTEGER NOT NULL,
    ending TEXT CHECK (ending IN ('finish', 'release')),
    body TEXT
) STRICT;
CREATE TABLE measurements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lease TEXT NOT NULL REFERENCES leases ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (lease, epoch)
) STRICT;
"""


def test_the_file_of_an_older_worker_is_upgraded_and_delivered(path: Path) -> None:
    former = sqlite3.connect(path)
    former.executescript(FORMER_SCHEMA)
    former.execute("INSERT INTO leases (lease, trial_id) VALUES ('lease-1-1', 1)")
    body = measurement(1, 1, checkpoint=True).model_dump_json()
    former.execute("INSERT INTO measurements (lease, epoch, body) VALUES ('lease-1-1', 1, ?)", (body,))
    former.commit()
    former.close()
    for _ in range(2):
        outbox = Outbox(path)
        # Its checkpoint was never meant to leave the machine.
        assert (epochs(outbox), outbox.uploads()) == ([(1, 1)], [])
        outbox.close()
    outbox = Outbox(path)
    outbox.put(measurement(1, 2, checkpoint=True))
    assert [letter.measurement.epoch for letter in outbox.uploads()] == [2]
    outbox.close()


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
    with pytest.raises(OutboxBroken, match="no outbox"):
        Outbox(path)


def test_a_damaged_file_is_put_aside_and_the_worker_goes_on(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "outbox.db").write_bytes(b"SQLite format 3\0" + bytes([number]) * 5000)
        outbox = open_outbox(tmp_path)
        assert outbox.trials() == set()
        outbox.close()
        assert (tmp_path / f"outbox-broken-{number}.db").read_bytes()[16] == number


def leave_a_letter(path: Path) -> None:
    """What a worker leaves that ended before its only epoch was delivered."""
    with contextlib.closing(Outbox(path)) as outbox:
        outbox.hold(1, "lease-1-1")
        outbox.put(measurement(1, 1))


def test_a_letter_that_cannot_be_read_is_found_when_the_file_is_opened(path: Path) -> None:
    leave_a_letter(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE measurements SET body = '{}'")
    with pytest.raises(OutboxBroken):
        Outbox(path)


def test_an_index_that_lacks_what_its_table_holds_is_found_when_the_file_is_opened(path: Path) -> None:
    leave_a_letter(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'waits = 1', 'waits = 0') WHERE name = 'waiting'"
        )
    with pytest.raises(OutboxBroken, match="index"):
        Outbox(path)


def test_a_folder_that_takes_nothing_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        open_outbox(tmp_path / "nowhere")
