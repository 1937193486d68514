"""`caviar import`, and `caviar top` of studies that pause and import, against a service on its own port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from caviar import Client
from caviar.cli import app
from tests.caviar.trainer import TOKEN, ServiceProcess, Trainer, study


@pytest.fixture
def client(service: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of the service, on which the test leaves nothing behind; commands use the same service."""
    monkeypatch.setenv("CAVIAR_URL", service.url)
    monkeypatch.setenv("CAVIAR_TOKEN", TOKEN)
    with Client() as client:
        yield client
        for left in list(client.studies()):
            client.delete_study(left.name)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", ["trials.csv", "TRIALS.JSON"])
def test_an_exported_file_is_imported(client: Client, remote_trainer: Trainer, tmp_path: Path, name: str) -> None:
    client.create_study(study("old"))
    remote_trainer.train([0.9, 0.5])
    remote_trainer.train([0.4, 0.3])
    client.stop("old")
    client.create_study(study("new"))
    file = tmp_path / name
    assert run("export", "old", "--format", file.suffix[1:].lower(), "--output", str(file)).exit_code == 0
    imported = run("import", "new", str(file))
    assert imported.exit_code == 0, imported.output
    assert imported.stdout == "study new: 2 trials imported\n"
    again = run("import", "new", str(file))
    assert "0 trials imported, 2 skipped" in again.stdout
    assert "exactly this configuration already" in again.stdout
    assert client.study("new").num_imported == 2


def test_another_study_is_imported(client: Client, remote_trainer: Trainer) -> None:
    client.create_study(study("old"))
    remote_trainer.train([0.9, 0.5])
    client.create_study(study("new"))
    assert run("import", "new", "--from", "old").stdout == "study new: 1 trials imported\n"
    failed = run("import", "new", "--from", "nowhere")
    assert failed.exit_code == 1
    assert "nowhere" in failed.stderr


def test_what_cannot_be_imported_is_one_sentence(client: Client, tmp_path: Path) -> None:
    client.create_study(study("new"))
    text = tmp_path / "trials.txt"
    text.write_text("x")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("naïve".encode("latin-1"))
    for arguments, reason in (
        (["new"], "either a file or --from"),
        (["new", str(text), "--from", "old"], "either a file or --from"),
        (["new", str(text)], ".csv or .json"),
        (["new", str(latin)], "no UTF-8"),
        (["new", str(tmp_path / "missing.csv")], "cannot be read"),
    ):
        result = run("import", *arguments)
        assert result.exit_code == 1
        assert reason in result.stderr.replace("\n", " ")
        assert "Traceback" not in result.output


def test_top_tells_paused_and_imported_trials_and_the_time_left(client: Client, remote_trainer: Trainer) -> None:
    pruner = {"kind": "asha", "min_resource": 1}
    client.create_study(study("pausing", pruner=pruner, budget={"max_trials": 6, "max_epochs": 4}))
    items = [{"params": {"learning_rate": 0.01, "units": 16}, "value": 0.75}]
    client.import_trials("pausing", {"items": items})
    [paused] = remote_trainer.claim()
    remote_trainer.report(paused, [0.5])
    result = run("top", "pausing", "--once")
    assert result.exit_code == 0, result.output
    head = result.stdout.splitlines()[0]
    assert "pausing is running: 0/6 trials finished, 1 epochs, 1 paused, 1 complete, 1 of them imported" in head
    assert head.rstrip().endswith("left")
    assert "running now" not in result.stdout
