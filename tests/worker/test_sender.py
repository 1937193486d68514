"""Delivery: in order, many trials at once, through refusals and absences."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from caviar.contract.errors import Unauthorized, Unavailable
from caviar.contract.messages import Finish, Release, TrialStatus
from caviar.contract.states import Decision, Outcome, TrialState
from tests.worker.wire import DEADLINE_S, TOKEN, Service, Trial, measurement
from worker.api import WorkerApi
from worker.backoff import Backoff
from worker.checkpoints.shelf import Shelf
from worker.events import LeaseGone
from worker.outbox import Outbox
from worker.sender import Sender


class Post:
    """A sender with its outbox, and trials that it holds."""

    def __init__(self, service: Service, client: httpx2.Client, path: Path) -> None:
        self.service = service
        self.client = client
        self.outbox = Outbox(path)
        self.gone: list[LeaseGone] = []
        self.shelf = Shelf(path.parent / "resume")
        backoff = Backoff(random.Random(1), first_s=0.01)
        self.sender = Sender(WorkerApi(client), self.outbox, self.shelf, self.gone.append, backoff)

    def hold(self) -> Trial:
        """A new trial, given to this worker."""
        trial = self.service.add()
        trial_id = trial.assignment.trial_id
        trial.lease, trial.state = f"lease-{trial_id}-1", TrialState.RUNNING
        self.outbox.hold(trial_id, trial.lease)
        return trial

    def uploaded(self) -> None:
        """All checkpoints have reached the service."""
        for letter in self.outbox.uploads():
            self.outbox.resolve(letter.id, is_kept=True)

    def reports(self) -> list[list[tuple[int, int]]]:
        """Trials and epochs of every report that reached the service."""
        return [
            [(item["trial_id"], item["epoch"]) for item in body["items"]]
            for path, body in self.service.log
            if path.endswith("/measurements")
        ]

    def paths(self) -> list[str]:
        """The last parts of the paths that were asked for."""
        return [path.rpartition("/")[2] for path, _body in self.service.log]


@pytest.fixture
def post(service: Service, tmp_path: Path) -> Iterator[Post]:
    with httpx2.Client(base_url=service.url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        post = Post(service, client, tmp_path / "outbox.db")
        yield post
        post.outbox.close()


def test_everything_of_the_moment_goes_in_one_request_and_endings_last(post: Post) -> None:
    first, second = post.hold(), post.hold()
    for epoch in (1, 2):
        post.outbox.put(measurement(1, epoch))
        post.outbox.put(measurement(2, epoch))
    post.outbox.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
    post.outbox.end(Release(lease="lease-2-1"))
    post.sender.deliver()
    assert post.reports() == [[(1, 1), (2, 1), (1, 2), (2, 2)]]
    assert post.paths() == ["measurements", "1:finish", "2:release"]
    assert (first.state, second.num_releases) == (TrialState.COMPLETE, 1)
    assert post.outbox.is_settled
    assert post.outbox.leases() == []


def test_nothing_is_lost_or_doubled_while_the_service_is_away(post: Post) -> None:
    trial = post.hold()
    post.service.is_away = True
    post.outbox.put(measurement(1, 1))
    with pytest.raises(Unavailable):
        post.sender.deliver()
    post.outbox.put(measurement(1, 2))
    post.outbox.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
    post.service.is_away = False
    post.sender.deliver()
    assert sorted(trial.epochs) == [1, 2]
    assert trial.finish is not None


def test_the_thread_tries_until_the_service_is_back(post: Post) -> None:
    trial = post.hold()
    post.service.is_away = True
    post.sender.start()
    post.outbox.put(measurement(1, 1))
    assert not post.sender.flush(0.05)
    post.service.is_away = False
    assert post.sender.flush(DEADLINE_S)
    assert sorted(trial.epochs) == [1]
    post.sender.stop()


def test_a_wrong_token_loses_nothing(post: Post) -> None:
    post.hold()
    post.outbox.put(measurement(1, 1))
    post.client.headers["Authorization"] = "Bearer wrong"
    with pytest.raises(Unauthorized):
        post.sender.deliver()
    assert not post.outbox.is_settled


@pytest.mark.parametrize("decision", [Decision.STOP, Decision.PAUSE])
def test_a_decision_ends_the_run_without_a_finish(post: Post, decision: Decision) -> None:
    post.hold()
    post.hold()
    post.service.decide = lambda trial_id, epoch: decision if (trial_id, epoch) == (1, 1) else Decision.CONTINUE
    post.outbox.put(measurement(1, 1, checkpoint=True))
    post.outbox.put(measurement(2, 1))
    post.outbox.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
    post.uploaded()
    post.sender.deliver()
    assert post.gone == [LeaseGone("lease-1-1", "pruned")]
    assert post.paths() == ["measurements"]
    assert post.outbox.leases() == ["lease-2-1"]


def test_the_epochs_after_a_pause_are_lost(post: Post) -> None:
    trial = post.hold()
    post.service.decide = lambda _trial_id, epoch: Decision.PAUSE if epoch == 2 else Decision.CONTINUE
    for epoch in (1, 2, 3, 4):
        post.outbox.put(measurement(1, epoch, checkpoint=epoch == 2))
    post.outbox.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
    post.uploaded()
    post.sender.deliver()
    assert {event.lease for event in post.gone} == {"lease-1-1"}
    assert (sorted(trial.epochs), trial.checkpoint_epoch, trial.finish) == ([1, 2], 2, None)
    assert post.outbox.is_settled


@pytest.mark.parametrize(("ending", "is_kept"), [
    (Finish(lease="lease-1-1", outcome=Outcome.COMPLETE), False), (Release(lease="lease-1-1"), True),
])  # fmt: skip
def test_with_the_end_of_a_trial_its_checkpoints_go(post: Post, ending: Finish | Release, *, is_kept: bool) -> None:
    post.hold()
    for trial_id in (1, 2):
        post.shelf.path(trial_id, 4).parent.mkdir(parents=True)
        post.shelf.path(trial_id, 4).touch()
    post.outbox.end(ending)
    post.service.is_away = True
    with pytest.raises(Unavailable):
        post.sender.deliver()
    assert post.shelf.trials() == [1, 2]
    post.service.is_away = False
    post.sender.deliver()
    assert post.shelf.trials() == ([1, 2] if is_kept else [2])


def test_the_checkpoints_of_a_trial_that_is_tried_again_stay(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.hold()
    post.shelf.path(1, 4).parent.mkdir(parents=True)
    waiting = TrialStatus(trial_id=1, state=TrialState.WAITING)
    monkeypatch.setattr(WorkerApi, "finish", lambda _api, _trial_id, _body: waiting)
    post.outbox.end(Finish(lease="lease-1-1", outcome=Outcome.FAILED))
    post.sender.deliver()
    assert post.shelf.trials() == [1]


def test_a_lost_trial_is_dropped_and_the_others_of_the_request_are_stored(post: Post) -> None:
    lost, kept = post.hold(), post.hold()
    post.service.expire(lost)
    for epoch in (1, 2):
        post.outbox.put(measurement(1, epoch))
        post.outbox.put(measurement(2, epoch))
    post.outbox.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
    post.sender.deliver()
    assert {event.lease for event in post.gone} == {"lease-1-1"}
    assert (lost.epochs, lost.finish, sorted(kept.epochs)) == ({}, None, [1, 2])
    assert post.outbox.leases() == ["lease-2-1"]
    assert post.outbox.is_settled


def test_when_all_are_refused_each_learns_its_own_reason(post: Post) -> None:
    conflict, lost = post.hold(), post.hold()
    conflict.epochs[1] = {"val_loss": 99.0}
    post.service.expire(lost)
    post.outbox.put(measurement(1, 1))
    post.outbox.put(measurement(2, 1))
    post.sender.deliver()
    assert [event.lease for event in post.gone] == ["lease-2-1"]
    assert post.outbox.leases() == ["lease-1-1"]
    assert post.outbox.is_settled


def test_a_conflict_is_told_and_does_not_stop_what_follows(post: Post) -> None:
    trial = post.hold()
    trial.epochs[1] = {"val_loss": 99.0}
    for epoch in (1, 2, 3):
        post.outbox.put(measurement(1, epoch))
    post.outbox.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
    post.sender.deliver()
    assert trial.epochs[1] == {"val_loss": 99.0}
    assert sorted(trial.epochs) == [1, 2, 3]
    assert trial.state is TrialState.COMPLETE


def test_the_finish_of_a_lost_trial_is_dropped(post: Post) -> None:
    trial = post.hold()
    post.service.expire(trial)
    post.outbox.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
    post.sender.deliver()
    assert trial.finish is None
    assert post.outbox.is_settled


def test_on_a_full_disk_what_was_delivered_is_delivered_again_and_logged_once(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = post.hold()
    post.outbox.put(measurement())
    num_failures = 0

    def remove(_ids: object) -> None:
        nonlocal num_failures
        num_failures += 1
        if num_failures == 3:
            monkeypatch.undo()
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(post.outbox, "remove", remove)
    with capture_logs() as logged:
        post.sender.start()
        assert post.sender.flush(DEADLINE_S)
        post.sender.stop()
    assert [entry["event"] for entry in logged].count("disk_takes_nothing") == 1
    assert (post.reports(), list(trial.epochs)) == ([[(1, 1)]] * 4, [1])
