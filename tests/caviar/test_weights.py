"""Weights come to this machine whole and checked, by the client and by the command."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from caviar import Client
from caviar.cli import app
from caviar.cli import weights as command
from caviar.contract.errors import NotFound, Unavailable
from tests.caviar.trainer import TOKEN

_DATA = b"weights " * 1000
_DIGEST = hashlib.sha256(_DATA).hexdigest()
Answer = Callable[[httpx2.Request], httpx2.Response]


def _client(answer: Answer) -> Client:
    http = httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://caviar.test")
    return Client(token=TOKEN, http=http)


def _sent(data: bytes) -> Answer:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/api/v1/trials/7/weights"
        return httpx2.Response(200, content=data, headers={"Caviar-SHA256": _DIGEST})

    return answer


def test_weights_are_saved_under_the_given_name(tmp_path: Path) -> None:
    target = tmp_path / "best.h5"
    target.write_bytes(b"older")
    assert _client(_sent(_DATA)).download_weights(7, target) == target
    assert target.read_bytes() == _DATA
    assert list(tmp_path.iterdir()) == [target]


def test_in_a_folder_they_get_a_name_of_their_own(tmp_path: Path) -> None:
    assert _client(_sent(_DATA)).download_weights(7, tmp_path) == tmp_path / "trial-7.weights.h5"


def test_a_damaged_file_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="damaged"):
        _client(_sent(_DATA[:-1])).download_weights(7, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    class Breaking(httpx2.SyncByteStream):
        def __iter__(self) -> Any:
            yield _DATA[:100]
            raise httpx2.ReadError("reset")

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=Breaking(), headers={"Caviar-SHA256": _DIGEST})

    with pytest.raises(Unavailable):
        _client(answer).download_weights(7, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_services_refusal_is_told(client: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="7"):
        client.download_weights(7, tmp_path)
    assert not list(tmp_path.glob("*weights*"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command talks to a service that sends the weights."""
    monkeypatch.setattr(command, "Client", lambda _url, _token: _client(_sent(_DATA)))


@pytest.mark.usefixtures("told")
def test_the_command_saves_them_and_says_where(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["weights", "7", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "trial-7.weights.h5").read_bytes() == _DATA
    assert "trial-7.weights.h5 (8,000 bytes)" in done.output


@pytest.mark.usefixtures("told")
def test_the_command_names_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["weights", "7", str(tmp_path / "nowhere" / "best.h5")])
    assert done.exit_code == 1
    assert "cannot be written" in done.output
