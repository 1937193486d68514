"""The command that archives studies."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from caviar.cli import app
from caviar.client import Client
from tests.caviar.trainer import TOKEN, ServiceProcess, study


@pytest.fixture
def client(service: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of a service that commands find in the environment, with a running study and one that was stopped."""
    monkeypatch.setenv("CAVIAR_URL", service.url)
    monkeypatch.setenv("CAVIAR_TOKEN", TOKEN)
    client = Client(service.url, TOKEN)
    for name in ("archive-live", "archive-over"):
        client.create_study(study(name))
    client.stop("archive-over")
    return client


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["archive", *arguments])


def test_archive(client: Client) -> None:
    assert "is archived" in _run("archive-over").stdout
    assert [view.name for view in client.studies(archived=True)] == ["archive-over"]
    assert "out of the archive" in _run("archive-over", "--undo").stdout
    assert not list(client.studies(archived=True))
    assert "0 studies" in _run("--older-than", "1h").stdout
    live = _run("archive-live")
    assert live.exit_code == 1
    assert "stop it first" in live.stderr
    for wrong in ([], ["archive-over", "--older-than", "1d"], ["--undo"], ["--older-than", "soon"]):
        refused = _run(*wrong)
        assert refused.exit_code == 1, wrong
        assert "Traceback" not in refused.output
    client.close()
