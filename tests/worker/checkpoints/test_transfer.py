"""Uploads: a checkpoint goes before its measurement, and holds up nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from caviar.contract.errors import CaviarError, StateConflict, StorageFull, TooLarge, Unauthorized, Unavailable
from caviar.contract.messages import Finish, Release
from caviar.contract.states import Decision, Outcome, TrialState
from tests.worker.wire import DEADLINE_S, TOKEN, Service, Trial, measurement
from worker.api import WorkerApi
from worker.backoff import Backoff
from worker.checkpoints.shelf import Shelf
from worker.checkpoints.transfer import Transfer
from worker.events import LeaseGone
from worker.outbox import Outbox
from worker.sender import Sender

DONE = Finish(lease="lease-1-1", outcome=Outcome.COMPLETE)


class Post:
    """A sender and a transfer with their outbox and shelf, and trials that they hold."""

    def __init__(self, service: Service, client: httpx2.Client, folder: Path) -> None:
        self.service = service
        self.client = client
        self.folder = folder
        self.gone: list[LeaseGone] = []
        self.shelf = Shelf(folder / "resume")
        self.open()

    def open(self) -> None:
        """Begin as a worker does, with what a former one has left."""
        api, backoff = WorkerApi(self.client), Backoff(random.Random(1), first_s=0.01)
        self.outbox = Outbox(self.folder / "outbox.db")
        self.sender = Sender(api, self.outbox, self.shelf, self.gone.append, backoff, delivered=self.wake)
        self.transfer = Transfer(
            api, self.outbox, self.shelf, emit=self.gone.append, wake_sender=self.sender.wake, backoff=backoff
        )

    def wake(self) -> None:
        self.transfer.wake()

    def hold(self, rungs: tuple[int, ...] = ()) -> Trial:
        """A new trial, given to this worker."""
        trial = self.service.add()
        trial_id = trial.assignment.trial_id
        trial.lease, trial.state = f"lease-{trial_id}-1", TrialState.RUNNING
        self.outbox.hold(trial_id, trial.lease, rungs)
        return trial

    def put(self, trial_id: int, epoch: int, *, checkpoint: bool = False) -> None:
        """An epoch has ended, and its checkpoint, if there is one, is on the shelf."""
        if checkpoint:
            path = self.shelf.path(trial_id, epoch)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%d" % epoch * 1000)
        self.outbox.put(measurement(trial_id, epoch, checkpoint=checkpoint))

    def deliver(self) -> None:
        """Until nothing is left to do."""
        for _ in range(10):
            self.transfer.deliver()
            self.sender.deliver()

    def epochs(self) -> list[list[tuple[int, int, bool]]]:
        """Trials, epochs and checkpoints of every report that reached the service."""
        return [
            [(item["trial_id"], item["epoch"], item["checkpoint"]) for item in body["items"]]
            for path, body in self.service.log
            if path.endswith("/measurements")
        ]

    def leave_weights(self, lease: str = "lease-1-1", epoch: int = 2) -> Path:
        """What a training writes at its end."""
        path = self.shelf.weights_path(lease, epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"the best weights")
        return path


@pytest.fixture
def post(service: Service, tmp_path: Path) -> Iterator[Post]:
    with httpx2.Client(base_url=service.url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        post = Post(service, client, tmp_path)
        yield post
        post.outbox.close()


def test_a_checkpoint_goes_before_its_measurement_and_holds_up_no_other_trial(post: Post) -> None:
    trial, _other = post.hold(), post.hold()
    post.put(1, 1)
    post.put(1, 2, checkpoint=True)
    post.put(1, 3)
    post.put(2, 1)
    post.outbox.end(DONE)
    post.sender.deliver()
    assert post.epochs() == [[(1, 1, False), (2, 1, False)]]
    assert trial.finish is None
    post.transfer.deliver()
    assert trial.checkpoints == {2: b"2" * 1000}
    assert not post.outbox.is_settled
    post.sender.deliver()
    assert post.epochs()[1] == [(1, 2, True), (1, 3, False)]
    assert trial.finish is not None
    [(_path, headers)] = [entry for entry in post.service.log if entry[0].startswith("PUT")]
    assert headers["Caviar-Lease"] == "lease-1-1"


def test_reports_go_on_while_an_upload_is_under_way(post: Post) -> None:
    held, other = post.hold(), post.hold()
    post.service.may_take_files.clear()
    post.sender.start()
    post.transfer.start()
    post.put(1, 1, checkpoint=True)
    post.transfer.wake()
    for epoch in (1, 2, 3):
        post.put(2, epoch)
        post.sender.wake()
    post.service.wait_for(lambda: len(other.epochs) == 3, "the other trial")
    assert held.epochs == {}
    post.service.may_take_files.set()
    post.service.wait_for(lambda: held.epochs, "the trial whose checkpoint is uploaded")
    assert post.epochs()[-1] == [(1, 1, True)]
    post.transfer.stop(DEADLINE_S)
    post.sender.stop(DEADLINE_S)


@pytest.mark.parametrize("error", [TooLarge("too large"), StorageFull("no room"), StateConflict("it is over")])
def test_what_is_refused_for_good_costs_the_checkpoint_alone(post: Post, error: CaviarError) -> None:
    trial = post.hold()
    post.service.refuse_files = error
    post.put(1, 1, checkpoint=True)
    post.put(1, 2)
    with capture_logs() as logged:
        post.deliver()
    assert post.epochs() == [[(1, 1, False), (1, 2, False)]]
    assert sorted(trial.epochs) == [1, 2]
    assert not post.shelf.path(1, 1).exists()
    [warning] = [entry for entry in logged if entry["event"] == "checkpoint_not_uploaded"]
    assert (warning["log_level"], str(error) in warning["detail"]) == ("warning", True)


def test_who_hangs_up_again_and_again_will_not_take_the_file(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = post.hold()
    post.put(1, 1, checkpoint=True)
    monkeypatch.setattr(post.service, "is_hanging_up", True)
    for _ in range(4):
        with pytest.raises(Unavailable, match="broke off"):
            post.transfer.deliver()
    assert post.outbox.measurements(10) == []
    with capture_logs() as logged:
        post.deliver()
    assert "checkpoint_not_uploaded" in [entry["event"] for entry in logged]
    assert (sorted(trial.epochs), trial.checkpoints) == ([1], {})


def test_while_the_service_is_away_nothing_changes(post: Post) -> None:
    trial = post.hold()
    post.service.is_away = True
    post.put(1, 1, checkpoint=True)
    with pytest.raises(Unavailable):
        post.transfer.deliver()
    post.service.is_away = False
    post.client.headers["Authorization"] = "Bearer wrong"
    with pytest.raises(Unauthorized):
        post.transfer.deliver()
    assert post.outbox.measurements(10) == []
    post.client.headers["Authorization"] = f"Bearer {TOKEN}"
    post.deliver()
    assert post.epochs() == [[(1, 1, True)]]
    assert sorted(trial.checkpoints) == [1]


def test_the_thread_tries_until_the_service_is_back_and_flush_waits_for_it(post: Post) -> None:
    trial = post.hold()
    post.service.is_away = True
    post.sender.start()
    post.transfer.start()
    post.put(1, 1, checkpoint=True)
    post.transfer.wake()
    assert not post.sender.flush(0.05)
    post.service.is_away = False
    assert post.sender.flush(DEADLINE_S)
    assert (sorted(trial.checkpoints), sorted(trial.epochs)) == ([1], [1])
    post.transfer.stop(DEADLINE_S)
    post.sender.stop(DEADLINE_S)


def test_a_new_worker_uploads_what_a_former_one_has_left(post: Post) -> None:
    trial = post.hold()
    post.put(1, 1, checkpoint=True)
    post.outbox.close()
    post.open()
    post.outbox.release_unfinished()
    post.deliver()
    assert (sorted(trial.checkpoints), sorted(trial.epochs), trial.num_releases) == ([1], [1], 1)
    names = [path.rpartition("/")[2] for path, _body in post.service.log]
    assert names == ["1", "measurements", "1:release"]


def test_a_lost_lease_drops_all_that_waits(post: Post) -> None:
    trial = post.hold()
    post.service.expire(trial)
    post.put(1, 1, checkpoint=True)
    post.put(1, 2)
    post.deliver()
    assert post.gone == [LeaseGone("lease-1-1", "lease_lost")]
    assert (trial.epochs, trial.checkpoints) == ({}, {})
    assert post.outbox.is_settled


def test_a_newer_checkpoint_stands_for_those_before_it(post: Post) -> None:
    trial = post.hold()
    for epoch in (1, 2, 3):
        post.put(1, epoch, checkpoint=True)
    post.put(1, 4)
    post.deliver()
    assert sorted(trial.checkpoints) == [3]
    assert post.epochs() == [[(1, 1, False), (1, 2, False), (1, 3, True), (1, 4, False)]]
    assert [path.name for path in post.shelf.path(1, 3).parent.glob("*.npz")] == ["epoch-0000003.npz"]


def test_a_long_absence_of_the_service_does_not_fill_the_disk(post: Post) -> None:
    post.hold()
    post.put(1, 1, checkpoint=True)
    post.deliver()
    post.service.is_away = True
    for epoch in range(2, 20):
        post.put(1, epoch, checkpoint=True)
        with pytest.raises(Unavailable):
            post.transfer.deliver()
    # The newest one, and the one that the service would have the trial go on from.
    assert [epoch for epoch in range(1, 20) if post.shelf.path(1, epoch).exists()] == [1, 19]


def test_no_other_checkpoint_stands_for_that_of_a_rung_and_none_goes_beyond_it(post: Post) -> None:
    trial = post.hold(rungs=(2, 4))
    post.service.decide = lambda _trial_id, epoch: Decision.PAUSE if epoch == 2 else Decision.CONTINUE
    for epoch in (1, 2, 3, 4):
        post.put(1, epoch, checkpoint=True)
    post.transfer.deliver()
    assert sorted(trial.checkpoints) == [2]
    post.deliver()
    assert trial.checkpoint_epoch == 2
    assert sorted(trial.checkpoints) == [2]
    # It may go on here: what was trained beyond the pause does not count.
    assert post.shelf.has(1, 2, None)


def test_after_a_rung_the_next_checkpoint_goes(post: Post) -> None:
    trial = post.hold(rungs=(2,))
    for epoch in (2, 3, 4):
        post.put(1, epoch, checkpoint=True)
    post.deliver()
    assert sorted(trial.checkpoints) == [2, 4]
    assert [item for report in post.epochs() for item in report] == [(1, 2, True), (1, 3, False), (1, 4, True)]


def test_a_checkpoint_that_has_gone_is_told(post: Post) -> None:
    post.hold()
    post.put(1, 1, checkpoint=True)
    post.shelf.remove(1, 1)
    with capture_logs() as logged:
        post.deliver()
    assert post.epochs() == [[(1, 1, False)]]
    assert "checkpoint_not_uploaded" in [entry["event"] for entry in logged]


def test_only_what_the_service_keeps_is_thrown_out_of_the_cache(post: Post) -> None:
    post.shelf = Shelf(post.shelf.folder, max_bytes=1500)
    post.outbox.close()
    post.open()
    for _ in range(3):
        post.hold()
    post.put(1, 1, checkpoint=True)
    post.deliver()
    # The first trial is over for this worker, so that its file is needed here no more.
    post.outbox.end(Release(lease="lease-1-1"))
    post.deliver()
    post.put(2, 1, checkpoint=True)
    post.deliver()
    assert [post.shelf.path(number, 1).exists() for number in (1, 2)] == [False, True]
    post.service.is_away = True
    post.put(3, 1, checkpoint=True)
    post.shelf.trim([], max_bytes=0)
    assert [post.shelf.path(number, 1).exists() for number in (2, 3)] == [False, True]


@pytest.mark.parametrize("decision", [Decision.STOP, Decision.CONTINUE])
def test_wanted_weights_go_at_the_end_and_leave_the_machine(post: Post, decision: Decision) -> None:
    trial = post.hold()
    post.service.keep_weights = {1}
    post.service.decide = lambda _trial_id, _epoch: decision
    file = post.leave_weights()
    post.put(1, 1)
    post.outbox.end(DONE)
    post.transfer.deliver()
    assert (trial.weights, file.exists()) == (None, True)
    post.sender.deliver()
    assert not post.outbox.is_settled
    post.transfer.deliver()
    assert trial.weights == (2, b"the best weights")
    assert not file.exists()
    assert post.outbox.is_settled
    assert post.outbox.weights() == []


def test_weights_that_are_still_to_come_are_waited_for(post: Post) -> None:
    trial = post.hold()
    post.service.keep_weights, post.service.decide = {1}, lambda _trial_id, _epoch: Decision.STOP
    post.transfer.observe(["lease-1-1"])
    post.put(1, 1)
    post.deliver()
    assert not post.outbox.is_settled
    post.leave_weights()
    post.transfer.observe([])
    post.deliver()
    assert trial.weights is not None
    assert post.outbox.is_settled


def test_weights_that_never_came_or_are_refused_are_told_and_forgotten(post: Post) -> None:
    post.service.keep_weights = {1, 2}
    post.service.refuse_files = StorageFull("no room")
    post.hold()
    post.hold()
    file = post.leave_weights("lease-2-1")
    post.outbox.end(DONE)
    post.outbox.end(Finish(lease="lease-2-1", outcome=Outcome.COMPLETE))
    with capture_logs() as logged:
        post.deliver()
    told = [entry["event"] for entry in logged if entry["event"].startswith("weights")]
    assert told == ["weights_missing", "weights_not_uploaded"]
    assert not file.exists()
    assert post.outbox.is_settled


def test_a_new_worker_uploads_the_weights_that_a_former_one_has_left(post: Post) -> None:
    trial = post.hold()
    post.service.keep_weights = {1}
    post.leave_weights()
    post.outbox.end(DONE)
    post.sender.deliver()
    post.service.is_away = True
    with pytest.raises(Unavailable):
        post.transfer.deliver()
    post.outbox.close()
    post.open()
    post.service.is_away = False
    post.deliver()
    assert trial.weights is not None


@pytest.mark.parametrize("ending", [DONE, Release(lease="lease-1-1")])
def test_weights_that_nobody_wants_are_deleted(post: Post, ending: Finish | Release) -> None:
    trial = post.hold()
    file = post.leave_weights()
    post.outbox.end(ending)
    post.deliver()
    assert (trial.weights, file.exists(), post.outbox.weights()) == (None, False, [])
