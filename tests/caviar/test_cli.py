"""The commands, against a service on its own port."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

import caviar
from caviar import Client, credentials
from caviar.cli import app, machine, options
from caviar.contract.states import StudyState
from tests.caviar.trainer import TOKEN, ServiceProcess, Trainer, study

Run = Callable[..., Result]


def run(*arguments: str, stdin: str | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments), input=stdin)


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[Client]:
    """A client of the service, on which the test leaves nothing behind."""
    with Client(service.url, TOKEN) as client:
        yield client
        for left in list(client.studies()):
            client.delete_study(left.name)


@pytest.fixture
def ask(client: Client, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs commands that find the service in the environment."""
    monkeypatch.setenv("CAVIAR_URL", client.url)
    monkeypatch.setenv("CAVIAR_TOKEN", TOKEN)
    return run


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"caviar {caviar.__version__}\n")


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["submit"], ["serve", "--port", "0"], ["export", "a", "--format=x"]]
)
def test_wrong_usage_has_status_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "command", ["demo", "up", "serve", "work", "submit", "top", "export", "token show", "token link", "db upgrade"]
)
def test_every_command_explains_itself(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage: caviar" in result.output


def test_study_is_submitted_and_its_address_printed(ask: Run, client: Client, service: ServiceProcess) -> None:
    text = yaml.safe_dump(study("from-file"))
    result = ask("submit", "-", "--set", "budget.max_trials=2", stdin=text)
    assert result.exit_code == 0, result.output
    assert f"{service.url}/studies/from-file" in result.stdout
    assert client.study("from-file").budget.max_trials == 2
    assert ask("submit", "-", "--set", "budget.max_trials=2", stdin=text).exit_code == 0
    other = ask("submit", "-", stdin=text)
    assert other.exit_code == 1
    assert "from-file" in other.stderr
    assert "Traceback" not in other.output


def test_wrong_study_is_refused_with_a_table_of_its_fields(ask: Run) -> None:
    wrong = study("wrong", budget={"max_trials": 0}, colour="red")
    result = ask("submit", "-", stdin=yaml.safe_dump(wrong))
    assert result.exit_code == 1
    assert result.stdout == ""
    for word in ("2 fields", "field", "received", "expected", "budget.max_trials", "colour", "red"):
        assert word in result.stderr
    assert "Traceback" not in result.output


def test_refusal_of_the_service_is_shown_alike(ask: Run) -> None:
    result = ask("submit", "-", stdin=yaml.safe_dump(study("wrong", strategy={"kind": "clairvoyant"})))
    assert result.exit_code == 1
    assert "clairvoyant" in result.stderr
    assert "strategy" in result.stderr


def test_submit_waits_for_the_end(ask: Run, remote_trainer: Trainer, client: Client) -> None:
    client.create_study(study("awaited"))
    for losses in ([0.9, 0.5], [0.4, 0.2], [0.8, 0.7]):
        remote_trainer.train(losses)
    result = ask("submit", "-", "--wait", stdin=yaml.safe_dump(study("awaited")))
    assert result.exit_code == 0, result.output
    assert "awaited complete: 3 of 3 trials finished, best val_loss 0.2 (trial 1)" in result.stdout
    client.create_study(study("given-up"))
    client.stop("given-up")
    result = ask("submit", "-", "--wait", stdin=yaml.safe_dump(study("given-up")))
    assert result.exit_code == 1
    assert "given-up is stopped, not complete" in result.stderr


def test_top_shows_the_study_as_it_is(ask: Run, remote_trainer: Trainer, client: Client) -> None:
    client.create_study(study("shown"))
    remote_trainer.train([0.9, 0.123456])
    [running] = remote_trainer.claim()
    remote_trainer.report(running, [0.777])
    result = ask("top", "shown", "--once")
    assert result.exit_code == 0, result.output
    assert "shown is running: 1/3 trials finished, 3 epochs" in result.stdout
    assert "best val_loss 0.1235 by trial 0 at epoch 2" in result.stdout
    assert "learning_rate" in result.stdout
    below = result.stdout.partition("running now")[2]
    assert "1/2" in below
    assert "0.777" in below
    assert "trainer" in below
    client.stop("shown")
    assert client.study("shown").state is StudyState.STOPPED


def test_top_of_a_finished_study_in_a_file_is_a_line(ask: Run, client: Client) -> None:
    client.create_study(study("over"))
    client.stop("over")
    result = ask("top", "over")
    assert result.exit_code == 0
    assert result.stdout == "over stopped: 0 of 3 trials finished, nothing has been trained yet\n"


def test_narrow_output_keeps_to_its_width(
    ask: Run, remote_trainer: Trainer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_study(study("narrow", budget={"max_trials": 1, "max_epochs": 1}))
    remote_trainer.train([0.5])
    monkeypatch.setenv("COLUMNS", "80")
    result = ask("top", "narrow", "--once")
    assert "learning_rate" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_unknown_study_is_one_sentence(ask: Run) -> None:
    for arguments in (["top", "nowhere"], ["top", "nowhere", "--once"], ["export", "nowhere"]):
        result = ask(*arguments)
        assert result.exit_code == 1
        assert "nowhere" in result.stderr
        assert "Traceback" not in result.output


def test_export_goes_to_the_output_or_a_file(ask: Run, remote_trainer: Trainer, client: Client, tmp_path: Path) -> None:
    client.create_study(study("exported", budget={"max_trials": 1, "max_epochs": 2}))
    remote_trainer.train([0.9, 0.5])
    printed = ask("export", "exported")
    assert printed.exit_code == 0
    assert [float(row["value"]) for row in csv.DictReader(io.StringIO(printed.stdout))] == [0.5]
    file = tmp_path / "trials.json"
    assert ask("export", "exported", "--format", "json", "--output", str(file)).exit_code == 0
    assert json.loads(file.read_text())["trials"][0]["value"] == 0.5
    failed = ask("export", "exported", "--output", str(tmp_path / "missing" / "trials.csv"))
    assert failed.exit_code == 1
    assert "cannot be written" in failed.stderr


def test_token_is_shown_and_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = run("token", "show")
    assert missing.exit_code == 1
    assert str(credentials.home() / "token") in missing.stderr.replace("\n", "")
    credentials.write_token("stored/token")
    assert run("token", "show").stdout == "stored/token\n"
    assert run("token", "link").stdout == "http://127.0.0.1:8700/login?token=stored%2Ftoken\n"
    monkeypatch.setenv("CAVIAR_TOKEN", "given")
    assert run("token", "link", "--url", "https://far.example").stdout == "https://far.example/login?token=given\n"


def test_absent_service_is_one_sentence() -> None:
    result = run("top", "small", "--once", "--url", "http://127.0.0.1:9", "--token", TOKEN)
    assert result.exit_code == 1
    assert "http://127.0.0.1:9" in result.stderr
    assert "caviar serve" in result.stderr
    assert "Traceback" not in result.output


def test_database_is_upgraded_and_checked(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'new.db'}"
    assert "empty" in run("db", "current", "--database", database).stdout
    assert run("db", "check", "--database", database).exit_code == 1
    upgraded = run("db", "upgrade", "--database", database)
    assert upgraded.exit_code == 0, upgraded.output
    current = run("db", "current", "--database", database).stdout.strip()
    assert current
    assert current in upgraded.stdout
    assert run("db", "check", "--database", database).exit_code == 0


def test_settings_that_are_wrong_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("serve", "--lease-ttl-s", "-1")
    assert result.exit_code == 1
    assert "lease_ttl_s" in result.stderr
    monkeypatch.setenv("CAVIAR_LOG_LEVEL", "loud")
    result = run("serve")
    assert result.exit_code == 1
    assert "log_level" in result.stderr
    assert "loud" in result.stderr


def test_labels_are_written_as_key_and_value() -> None:
    assert options.labels(["site=basement", "rack=a=1"]) == {"site": "basement", "rack": "a=1"}
    assert options.labels([]) is None
    result = run("work", "--token", "any", "--label", "basement")
    assert result.exit_code == 1
    assert "received the label 'basement', expected KEY=VALUE" in " ".join(result.stderr.split())


def test_workers_of_one_machine_share_its_cores() -> None:
    assert machine.shared_cpu_slots(1) is None
    assert machine.shared_cpu_slots(10**6) == 1


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")

    monkeypatch.setattr("importlib.import_module", missing)
    result = run("serve")
    assert result.exit_code == 1
    assert "pip install 'caviar[service]'" in result.stderr
