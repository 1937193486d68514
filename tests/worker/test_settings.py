"""Settings come from arguments and `CAVIAR_` variables, and are checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from caviar.contract.errors import InvalidRequest
from worker.main import run
from worker.settings import WorkerSettings


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVIAR_CPU_SLOTS", "3")
    monkeypatch.setenv("CAVIAR_SLOTS_PER_GPU", "auto")
    monkeypatch.setenv("CAVIAR_LABELS", '{"site": "basement"}')
    monkeypatch.setenv("CAVIAR_OBJECTIVES", '["mine.py", "package.module:Name"]')
    monkeypatch.setenv("CAVIAR_DATA_DIR", "/data")
    monkeypatch.setenv("CAVIAR_TOKEN", "")
    settings = WorkerSettings()
    assert (settings.cpu_slots, settings.slots_per_gpu, settings.data_dir) == (3, "auto", Path("/data"))
    assert settings.labels == {"site": "basement"}
    assert settings.objectives == ("mine.py", "package.module:Name")
    assert settings.token is None


def test_the_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVIAR_TOKEN", "very-secret")
    assert "very-secret" not in repr(WorkerSettings())


@pytest.mark.parametrize("wrong", [
    {"cpu_slots": 0}, {"slots_per_gpu": "many"}, {"backend": "theano"}, {"labels": {"": "x"}}, {"max_epoch_s": 0},
    {"slots": 1}, {"name": "../elsewhere"}, {"name": ""}, {"url": "ftp://x"}, {"threads_per_slot": 0},
    {"claim_wait_s": 31}, {"log_level": "loud"}, {"unknown": 1},
])  # fmt: skip
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WorkerSettings(**wrong)  # type: ignore[arg-type]


def test_without_a_token_nothing_is_started() -> None:
    with pytest.raises(InvalidRequest, match="no access token"):
        run(WorkerSettings())


def test_a_token_that_cannot_travel_in_a_header_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="line ends"):
        run(WorkerSettings(token="any\r\nX-Other: 1"))


def test_devices_that_are_not_there_and_backends_that_are_not_installed_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {"token": "any", "state_dir": tmp_path}
    with pytest.raises(InvalidRequest, match="GPU-nowhere"):
        run(WorkerSettings(devices="GPU-nowhere", **given))  # type: ignore[arg-type]  # parsed by the settings
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(InvalidRequest, match="the backend torch needs the package torch"):
        run(WorkerSettings(backend="torch", **given))  # type: ignore[arg-type]  # parsed by the settings
