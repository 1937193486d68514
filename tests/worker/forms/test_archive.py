"""Folders of training functions as checkpoint files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from worker.checkpoints import file
from worker.checkpoints.errors import CheckpointBroken, CheckpointForeign, CheckpointMissing, Unkeepable
from worker.forms import archive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep" / "empty").mkdir(parents=True)
    (tmp_path / "in" / "state.bin").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "in" / "deep" / "notes.txt").write_text("two\n")
    (tmp_path / "out").mkdir()
    return tmp_path / "in"


def test_a_folder_comes_back_as_it_was(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    archive.pack(folder, tmp_path / "shelf" / "epoch.npz", {"epoch": 3, "best": None})
    assert archive.unpack(tmp_path / "shelf" / "epoch.npz", out, {"epoch": 3}) == {"epoch": 3, "best": None}
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == [
        "deep", "deep/empty", "deep/notes.txt", "state.bin",
    ]  # fmt: skip
    assert (out / "state.bin").read_bytes() == (folder / "state.bin").read_bytes()


def test_a_damaged_file_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "epoch.npz"
    archive.pack(folder, path, {})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointBroken, match="does not agree with its checksum"):
        archive.unpack(path, tmp_path / "out", {})
    with pytest.raises(CheckpointMissing):
        archive.unpack(tmp_path / "none.npz", tmp_path / "out", {})


def test_a_checkpoint_of_another_trial_is_refused(folder: Path, tmp_path: Path) -> None:
    archive.pack(folder, tmp_path / "epoch.npz", {"identity": "a"})
    with pytest.raises(CheckpointForeign, match="has the identity a, expected b"):
        archive.unpack(tmp_path / "epoch.npz", tmp_path / "out", {"identity": "b"})


def test_a_checkpoint_of_keras_is_refused(tmp_path: Path) -> None:
    file.write(tmp_path / "epoch.npz", file.Content([], {}))
    with pytest.raises(CheckpointForeign, match="no checkpoint of a function"):
        archive.unpack(tmp_path / "epoch.npz", tmp_path, {})


@pytest.mark.parametrize("name", ["../out.txt", "files/../../out.txt", "/etc/out.txt", "other/out.txt", "files/a\\b"])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "epoch.npz"
    with file.sealing(path) as draft, zipfile.ZipFile(draft, "w") as archived:
        archived.comment = file.UNSEALED
        archived.writestr("facts.json", '{"format": 1, "form": "function", "facts": {}}')
        archived.writestr(name, "x")
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointBroken, match="expected names below files/"):
        archive.unpack(path, tmp_path / "out", {})
    assert list((tmp_path / "out").iterdir()) == []


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(folder / "state.bin")
    with pytest.raises(Unkeepable, match="link is no plain file"):
        archive.pack(folder, tmp_path / "epoch.npz", {})
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(Unkeepable, match="pipe is no plain file"):
        archive.pack(folder, tmp_path / "epoch.npz", {})
    assert not (tmp_path / "epoch.npz").exists()
