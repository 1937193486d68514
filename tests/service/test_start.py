"""The first start: a database, a token, and no listening where it would not be safe."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError

from caviar import credentials
from caviar.contract.errors import InvalidRequest
from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings


def _settings(tmp_path: Path, **changes: object) -> ServiceSettings:
    return ServiceSettings(database_url=f"sqlite:///{tmp_path / 'x' / 'caviar.db'}", **changes)  # type: ignore[arg-type]


def _status(settings: ServiceSettings, token: str) -> int:
    with TestClient(create_app(settings)) as client:
        return client.get("/api/v1/studies", headers={"Authorization": f"Bearer {token}"}).status_code


def test_the_first_start_makes_a_token_that_only_its_owner_can_read(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    made = prepare(settings)
    assert made is not None
    assert len(made) >= 32
    assert credentials.read_token() == made
    assert stat.S_IMODE(settings.token_path.stat().st_mode) == 0o600
    assert _status(settings, made) == 200


def test_the_second_start_keeps_the_token_and_does_not_show_it(tmp_path: Path) -> None:
    made = prepare(_settings(tmp_path))
    assert prepare(_settings(tmp_path)) is None
    assert _status(_settings(tmp_path), str(made)) == 200


def test_a_lost_database_gets_the_same_token(tmp_path: Path) -> None:
    made = prepare(_settings(tmp_path))
    (tmp_path / "x" / "caviar.db").unlink()
    prepare(_settings(tmp_path))
    assert _status(_settings(tmp_path), str(made)) == 200


def test_a_given_token_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    old = _settings(tmp_path, token=SecretStr("an-old-token-of-the-tests"))
    new = _settings(tmp_path, token=SecretStr("a-new-token-of-the-tests"))
    assert prepare(old) is None
    assert prepare(new) is None
    assert _status(new, "a-new-token-of-the-tests") == 200
    assert _status(new, "an-old-token-of-the-tests") == 401
    assert not new.token_path.exists()


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="too short"):
        prepare(_settings(tmp_path, token=SecretStr("short")))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "box.example"])
def test_other_machines_are_not_let_in_without_a_token(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidRequest, match="CAVIAR_TOKEN"):
        prepare(_settings(tmp_path, host=host))
    assert credentials.read_token() is None
    assert prepare(_settings(tmp_path, host=host, token=SecretStr("a-token-of-the-tests-only"))) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_this_machine_is_enough_for_a_start_without_one(tmp_path: Path, host: str) -> None:
    assert prepare(_settings(tmp_path, host=host)) is not None


def test_settings_out_of_range_are_refused(tmp_path: Path) -> None:
    for change in ({"port": 0}, {"lease_ttl_s": 0.0}, {"log_level": "loud"}):
        with pytest.raises(ValidationError):
            _settings(tmp_path, **change)
