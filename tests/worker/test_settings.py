"""Settings come from arguments and `CAVIAR_` variables, and are checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from caviar.contract.errors import InvalidRequest
from worker.main import run
from worker.settings import WorkerSettings


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVIAR_SLOTS", "3")
    monkeypatch.setenv("CAVIAR_OBJECTIVES", '["mine.py", "package.module:Name"]')
    monkeypatch.setenv("CAVIAR_DATA_DIR", "/data")
    monkeypatch.setenv("CAVIAR_TOKEN", "")
    settings = WorkerSettings()
    assert (settings.slots, settings.data_dir) == (3, Path("/data"))
    assert settings.objectives == ("mine.py", "package.module:Name")
    assert settings.token is None


def test_the_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVIAR_TOKEN", "very-secret")
    assert "very-secret" not in repr(WorkerSettings())


@pytest.mark.parametrize("wrong", [
    {"slots": 0}, {"name": "../elsewhere"}, {"name": ""}, {"url": "ftp://x"}, {"threads_per_slot": 0},
    {"claim_wait_s": 31}, {"log_level": "loud"}, {"unknown": 1},
])  # fmt: skip
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WorkerSettings(**wrong)  # type: ignore[arg-type]


def test_without_a_token_nothing_is_started() -> None:
    with pytest.raises(InvalidRequest, match="no access token"):
        run(WorkerSettings())
