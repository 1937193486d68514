"""Where checkpoints lie: apart by service and trial, and gone when they are discarded."""

from __future__ import annotations

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


def test_the_supervising_process_needs_no_numpy_for_it() -> None:
    program = "import sys, worker.main; print({'numpy', 'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
