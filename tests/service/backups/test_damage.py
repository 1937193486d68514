"""A backup that is not what was written is refused before anything is touched, and one that is not whole is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caviar.contract.errors import InvalidRequest, Unavailable
from service.domain.manifest import BackupDamaged
from service.store.copies import folder
from service.use_cases import backing_up
from service.use_cases.service import utc_now
from tests.service.artifacts.files import Files
from tests.service.backups.places import Places


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit of the rows": (lambda backup: _flip(backup / "caviar.db", 5000), "was changed"),
    "rows that are cut off": (
        lambda backup: (backup / "caviar.db").write_bytes((backup / "caviar.db").read_bytes()[:-4096]),
        "was changed",
    ),
    "no rows": (lambda backup: (backup / "caviar.db").unlink(), "cannot be read"),
    "a flipped bit of a file": (lambda backup: _flip(next((backup / "artifacts").iterdir()), 7), "digest does not fit"),
    "a file that is gone": (lambda backup: next((backup / "artifacts").iterdir()).unlink(), "cannot be read"),
    "an edited manifest": (lambda backup: _edit(backup / "manifest.json", missing=["x"]), "seal does not fit"),
    "half a manifest": (lambda backup: (backup / "manifest.json").write_text('{"format": 1'), "no JSON"),
    "a manifest without a seal": (lambda backup: (backup / "manifest.json").write_text("{}"), "cut off"),
    "no manifest": (lambda backup: (backup / "manifest.json").unlink(), "never finished"),
    "a manifest of a later version": (lambda backup: _edit(backup / "manifest.json", format=2), "newer version"),
    "a manifest that is no text": (lambda backup: (backup / "manifest.json").write_bytes(b"\xff"), "cannot be read"),
}


def test_every_damage_is_found(files: Files, places: Places, tmp_path: Path) -> None:
    files.kept(files.assigned(), 2)
    for number, (damage, told) in enumerate(_DAMAGES.values()):
        backup, manifest = places.back_up(f"backup-{number}", with_files=True)
        assert backing_up.verify(backup) == manifest
        damage(backup)
        with pytest.raises(BackupDamaged, match=told):
            backing_up.verify(backup)
        place = tmp_path / f"restored-{number}.db"
        with pytest.raises(BackupDamaged, match=told):
            places.restore(backup, f"sqlite:///{place}")
        assert not place.exists()
    assert not places.files_folder(2).exists()


def test_a_backup_that_fails_leaves_nothing(
    files: Files, places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files.study()

    def full(_folder: folder.BackupFolder, _content: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder.BackupFolder, "write_manifest", full)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Unavailable, match="No space left"):
        places.back_up()
    assert sorted(tmp_path.iterdir()) == before


def test_a_backup_replaces_nothing(files: Files, places: Places, tmp_path: Path) -> None:
    files.study()
    (tmp_path / "backup").mkdir()
    with pytest.raises(InvalidRequest, match="exists"):
        places.back_up()
    assert list((tmp_path / "backup").iterdir()) == []


def test_what_is_no_database_of_caviar_is_not_backed_up(places: Places, tmp_path: Path) -> None:
    places.start()
    for url in (f"sqlite:///{tmp_path / 'none.db'}", places.empty("postgres")):
        with pytest.raises(InvalidRequest, match="name"):
            backing_up.back_up(url, tmp_path / "backup", store=None, now=utc_now())
    assert not (tmp_path / "backup").exists()
    assert not (tmp_path / "none.db").exists()
