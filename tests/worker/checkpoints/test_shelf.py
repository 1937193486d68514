"""Where checkpoints lie: apart by service and trial, and gone when they are discarded."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from caviar.contract.study import ObjectiveRef
from tests.worker.wire import assignment
from worker.checkpoints import shelf
from worker.checkpoints.shelf import Shelf, identity, shelf_of


def put(shelf: Shelf, trial_id: int, epoch: int = 2) -> Path:
    path = shelf.path(trial_id, epoch)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_services_have_folders_of_their_own(tmp_path: Path) -> None:
    addresses = [
        "http://127.0.0.1:8700",
        "http://127.0.0.1:8701",
        "https://127.0.0.1:8700",
        "https://a.b/c",
        "https://a.b",
    ]
    folders = {shelf_of(tmp_path, address).folder for address in addresses}
    assert len(folders) == len(addresses)
    assert {folder.parent for folder in folders} == {tmp_path}
    assert shelf_of(tmp_path, "http://Host:8700/") == shelf_of(tmp_path, "http://host:8700")
    assert shelf_of(tmp_path, "http://../../x").folder.parent == tmp_path


def test_trials_are_listed_and_discarded(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "service")
    assert shelf.trials() == []
    kept, *_gone = put(shelf, 10), put(shelf, 9), put(shelf, 9, epoch=8)
    (shelf.folder / "notes.txt").touch()
    assert shelf.trials() == [9, 10]
    shelf.discard([9, 9, 77])
    assert shelf.trials() == [10]
    assert kept.exists()


def test_no_more_are_listed_than_a_heartbeat_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MAX_CHECKPOINTS", 2)
    for trial_id in (3, 1, 2):
        put(Shelf(tmp_path), trial_id)
    assert Shelf(tmp_path).trials() == [1, 2]


def test_trouble_with_the_folder_stops_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with capture_logs() as logged:
        assert Shelf(blocked).trials() == []
        Shelf(blocked).discard([1])
    assert [entry["event"] for entry in logged] == ["checkpoints_not_listed", "checkpoint_not_removed"]


def test_a_trial_is_the_same_in_all_its_attempts_and_unlike_any_other() -> None:
    first = assignment(params={"units": 3, "rate": 0.1})
    again = assignment(params={"rate": 0.1, "units": 3}, attempt=2, lease="another", first_epoch=5, max_epochs=9)
    assert identity(again) == identity(first)
    others: list[dict[str, object]] = [
        {"study": "b"},
        {"seed": 8},
        {"data_seed": 8},
        {"params": {"units": 3}},
        {"trial_id": 2},
        {"objective": ObjectiveRef(name="Line", config={"a": 1})},
    ]
    identities = {identity(first.model_copy(update=other)) for other in others}
    assert len(identities | {identity(first)}) == 1 + len(others)


def fill(shelf: Shelf, trial_id: int, epoch: int, *, used_at: float, is_kept: bool = True) -> Path:
    path = put(shelf, trial_id, epoch)
    path.write_bytes(b"x" * 100)
    if is_kept:
        shelf.mark(trial_id, epoch, "0" * 64)
    os.utime(path, (used_at, used_at))
    return path


def test_the_longest_unused_go_until_the_rest_fits(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, max_bytes=250)
    oldest, held, waits, newer, newest = (
        fill(shelf, 1, 4, used_at=10),
        fill(shelf, 2, 4, used_at=20),
        fill(shelf, 3, 4, used_at=30, is_kept=False),
        fill(shelf, 3, 8, used_at=40),
        fill(shelf, 4, 4, used_at=50),
    )
    assert shelf.trim([2]) == 300
    # Held by this worker, or not at the service yet: those stay, whatever the bound says.
    assert [path.exists() for path in (oldest, held, waits, newer, newest)] == [False, True, True, False, False]
    assert shelf.trim([2]) == 0


def test_what_a_training_goes_on_from_is_not_thrown_out_under_its_hands(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, max_bytes=0)
    path = fill(shelf, 1, 4, used_at=10)
    assert shelf.has(1, 4, None)
    shelf.trim([])
    assert path.exists()
    now = path.with_name(f"{path.name}.kept").stat().st_mtime
    assert shelf.trim([], clock=lambda: now + 599) == 0
    assert shelf.trim([], clock=lambda: now + 601) == 100


def test_a_checkpoint_is_here_if_it_is_the_one_that_is_meant(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = fill(shelf, 1, 4, used_at=10)
    assert shelf.has(1, 4, None)
    assert shelf.has(1, 4, hashlib.sha256(path.read_bytes()).hexdigest())
    assert not shelf.has(1, 4, "0" * 64)
    assert not shelf.has(1, 5, None)


def test_older_checkpoints_go_with_their_notes(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for epoch in (2, 4, 8):
        fill(shelf, 1, epoch, used_at=10)
    shelf.unmark(1, 2)
    shelf.remove_before(1, 8, is_kept=False)
    assert [shelf.path(1, epoch).exists() for epoch in (2, 4, 8)] == [False, True, True]
    shelf.remove_before(1, 8, is_kept=True)
    assert sorted(path.name for path in (tmp_path / "1").iterdir()) == ["epoch-0000008.npz", "epoch-0000008.npz.kept"]
    shelf.remove(1, 8)
    shelf.remove(1, 8)
    assert list((tmp_path / "1").iterdir()) == []


def test_a_draft_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)

    def break_off() -> None:
        with shelf.draft(1, 4) as file:
            file.write(b"half")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        break_off()
    assert list((tmp_path / "1").iterdir()) == []
    with shelf.draft(1, 4) as file:
        file.write(b"whole")
    assert [path.read_bytes() for path in (tmp_path / "1").iterdir()] == [b"whole"]


def test_the_weights_of_an_attempt_are_found_by_its_lease(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.weights("lease/1") is None
    path = shelf.weights_path("lease/1", 7)
    path.parent.mkdir()
    path.touch()
    (path.parent / f".draft-{path.name}").touch()
    assert shelf.weights("lease/1") == (path, 7)
    assert shelf.weights("lease/2") is None
    assert "lease" not in path.name
    assert shelf.trials() == []
    shelf.discard_weights("lease/1")
    assert list(path.parent.iterdir()) == []


def test_the_supervising_process_needs_no_numpy_for_it() -> None:
    program = "import sys, worker.main; print({'numpy', 'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
