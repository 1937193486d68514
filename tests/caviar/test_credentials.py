"""The access token on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from caviar import credentials
from caviar.contract.errors import InvalidRequest


def test_home_is_the_users_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVIAR_HOME", str(tmp_path / "elsewhere"))
    assert credentials.home() == tmp_path / "elsewhere"
    monkeypatch.delenv("CAVIAR_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert credentials.home() == tmp_path / ".caviar"


def test_written_token_is_read_back() -> None:
    assert credentials.read_token() is None
    path = credentials.write_token("first")
    assert path == credentials.home() / "token"
    assert credentials.read_token() == "first"
    credentials.write_token("second")
    assert credentials.read_token() == "second"


def test_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials.write_token("stored")
    monkeypatch.setenv("CAVIAR_TOKEN", "given")
    assert credentials.read_token() == "given"


def test_empty_file_is_no_token() -> None:
    credentials.write_token("x").write_text("\n")
    assert credentials.read_token() is None


def test_only_the_owner_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVIAR_HOME", str(tmp_path / "new"))
    modes: list[int] = []
    original = Path.replace

    def seen(self: Path, target: Path) -> Path:
        modes.append(stat.S_IMODE(self.stat().st_mode))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", seen)
    previous = os.umask(0)
    try:
        path = credentials.write_token("secret")
    finally:
        os.umask(previous)
    assert modes == [0o600], "the token was readable by others before it was in place"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_failed_write_keeps_the_old_token_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    path = credentials.write_token("old")

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        credentials.write_token("new")
    assert credentials.read_token() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("token", ["", "two words", "line\nend", "naïve", "tab\t"])
def test_token_that_no_header_can_carry_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        credentials.write_token(token)
    assert not token or token not in str(refused.value)
    assert not (credentials.home() / "token").exists()
