"""Downloads: the checkpoint of an assignment is on the shelf before it is trained, or it is told that there is none."""

from __future__ import annotations

import hashlib
import queue
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from caviar.contract.messages import Assignment, Checkpoint
from caviar.contract.states import TrialState
from tests.worker.wire import DEADLINE_S, TOKEN, Service, assignment
from worker.api import WorkerApi
from worker.backoff import Backoff
from worker.checkpoints.fetching import Fetcher
from worker.checkpoints.shelf import Shelf
from worker.events import Fetched
from worker.outbox import Outbox

FILE = b"all of a training" * 200_000
SHA256 = hashlib.sha256(FILE).hexdigest()


class Desk:
    """A fetcher with a shelf of its own, and what it tells."""

    def __init__(self, client: httpx2.Client, folder: Path) -> None:
        self.shelf = Shelf(folder / "resume")
        self.outbox = Outbox(folder / "outbox.db")
        self.events: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
        self.fetcher = Fetcher(
            WorkerApi(client),
            self.shelf,
            self.outbox,
            emit=self.events.put,
            make_backoff=lambda: Backoff(random.Random(1), first_s=0.01),
        )

    def begin(self, **checkpoint: Any) -> Assignment:
        """Fetch the checkpoint of trial 1."""
        told = {"epoch": 3, "size_bytes": len(FILE), "sha256": SHA256, **checkpoint}
        given = assignment(checkpoint=Checkpoint.model_validate(told), first_epoch=4, max_epochs=9)
        self.outbox.hold(1, given.lease)
        self.fetcher.fetch(given)
        return given

    def end(self) -> Fetched:
        return self.events.get(timeout=DEADLINE_S)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.shelf.folder.rglob("*") if path.is_file())


@pytest.fixture
def desk(service: Service, tmp_path: Path) -> Iterator[Desk]:
    trial = service.add()
    trial.lease, trial.state = "lease-1-1", TrialState.RUNNING
    with httpx2.Client(base_url=service.url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        desk = Desk(client, tmp_path)
        yield desk
        desk.fetcher.stop()
        desk.outbox.close()


def gets(service: Service) -> int:
    return sum(path.startswith("GET") for path, _body in service.log)


def put(desk: Desk, content: bytes) -> None:
    desk.shelf.path(1, 3).parent.mkdir(parents=True)
    desk.shelf.path(1, 3).write_bytes(content)


def test_what_is_on_the_shelf_is_not_downloaded(service: Service, desk: Desk) -> None:
    put(desk, FILE)
    given = desk.begin()
    assert desk.end() == Fetched(given)
    assert desk.begin(sha256=None) == desk.end().assignment
    assert gets(service) == 0


@pytest.mark.parametrize("is_another_here", [True, False])
def test_what_is_not_on_the_shelf_is_downloaded_as_a_whole(
    service: Service, desk: Desk, *, is_another_here: bool
) -> None:
    if is_another_here:
        put(desk, b"of another attempt")
    service.trials[1].checkpoints[3] = FILE
    given = desk.begin()
    assert desk.end() == Fetched(given)
    assert desk.shelf.path(1, 3).read_bytes() == FILE
    assert desk.files() == ["epoch-0000003.npz", "epoch-0000003.npz.kept"]
    assert gets(service) == 1
    # The service keeps it: it is here only to be at hand, but not to be thrown out right now.
    desk.shelf.trim([], max_bytes=0)
    assert desk.shelf.path(1, 3).exists()
    desk.shelf.trim([], max_bytes=0, clock=lambda: 2.0**33)
    assert not desk.shelf.path(1, 3).exists()


def test_a_checkpoint_that_the_service_has_not_is_lost(desk: Desk) -> None:
    desk.begin()
    event = desk.end()
    assert event.is_lost
    assert "no checkpoint of epoch 3" in str(event.problem)
    assert desk.files() == []


def test_a_damaged_checkpoint_is_lost_and_leaves_nothing(service: Service, desk: Desk) -> None:
    service.trials[1].checkpoints[3] = FILE[:-1] + b"?"
    desk.begin()
    event = desk.end()
    assert event.is_lost
    assert SHA256 in str(event.problem)
    assert desk.files() == []


def test_it_tries_until_the_service_is_back(service: Service, desk: Desk) -> None:
    service.trials[1].checkpoints[3] = FILE
    service.is_away = True
    with capture_logs(processors=[merge_contextvars]) as logged:
        given = desk.begin()
        wait_until(lambda: any(entry["event"] == "download_again" and entry["trial_id"] == 1 for entry in logged))
        service.is_away = False
        assert desk.end() == Fetched(given)


def test_it_gives_up_when_the_lease_is_gone(service: Service, desk: Desk) -> None:
    service.is_away = True
    given = desk.begin()
    desk.outbox.drop(given.lease)
    event = desk.end()
    assert (event.assignment, event.is_lost) == (given, False)
    assert event.problem is not None


def test_a_disk_that_takes_nothing_loses_no_checkpoint(service: Service, desk: Desk) -> None:
    service.trials[1].checkpoints[3] = FILE
    desk.shelf.folder.mkdir()
    (desk.shelf.folder / "1").write_text("no folder")
    desk.begin()
    event = desk.end()
    assert not event.is_lost
    assert "cannot be stored here" in str(event.problem)


def wait_until(probe: Callable[[], bool]) -> None:
    """Wait until a thread has done something that nobody tells."""
    waiting: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(int(DEADLINE_S / 0.01)):
        if probe():
            return
        with pytest.raises(queue.Empty):
            waiting.get(timeout=0.01)
    raise AssertionError("waited in vain")
