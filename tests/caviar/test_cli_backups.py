"""The commands that back a database up and fill one from a backup."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from caviar.cli import app
from caviar.client import Client
from tests.caviar.trainer import Trainer, study


def _run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


@pytest.fixture
def backup(client: Client, trainer: Trainer, database_file: Path, tmp_path: Path) -> Path:
    """Of a service with a study, while it runs."""
    target = tmp_path / "backup"
    client.create_study(study("kept"))
    trainer.train([0.5, 0.25])
    made = _run("db", "backup", str(target), "--with-artifacts", "--database", f"sqlite:///{database_file}")
    assert made.exit_code == 0, made.output
    assert "1 studies, 1 trials, 2 epochs" in made.stdout
    return target


def test_a_backup_is_made_verified_and_restored(backup: Path, tmp_path: Path) -> None:
    verified = _run("db", "verify", str(backup))
    assert verified.exit_code == 0, verified.output
    assert "is whole: 1 studies" in verified.stdout
    url = f"sqlite:///{tmp_path / 'new.db'}"
    restored = _run("db", "restore", str(backup), "--database", url)
    assert restored.exit_code == 0, restored.output
    again = _run("db", "restore", str(backup), "--database", url)
    assert again.exit_code == 1
    assert "not empty" in again.stderr


def test_replacing_asks_first(backup: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert _run("db", "restore", str(backup), "--database", url).exit_code == 0
    refused = _run("db", "restore", str(backup), "--database", url, "--replace", stdin="n\n")
    assert refused.exit_code == 1
    assert "nothing was changed" in refused.stderr
    replaced = _run("db", "restore", str(backup), "--database", url, "--replace", stdin="y\n")
    assert replaced.exit_code == 0, replaced.output
    assert "new.db.replaced-" in replaced.stderr
    assert _run("db", "restore", str(backup), "--database", url, "--replace", "--yes").exit_code == 0


def test_damage_has_status_1(backup: Path) -> None:
    (backup / "manifest.json").unlink()
    verified = _run("db", "verify", str(backup))
    assert verified.exit_code == 1
    assert "never finished" in verified.stderr
    assert "Traceback" not in verified.output
