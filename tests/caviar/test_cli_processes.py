"""Commands that start processes: none outlives its command, and each end is told."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from typer.testing import CliRunner

from caviar import Client
from caviar.cli import app, machine
from caviar.cli.children import Children, Interrupted
from caviar.cli.console import CommandFailed
from caviar.contract.errors import Unavailable
from tests.caviar.processes import read_until, running
from tests.caviar.trainer import TOKEN, ServiceProcess, Trainer, study

_DEADLINE_S = 60.0


def _environment(folder: Path) -> dict[str, str]:
    return machine.with_token(dict(os.environ) | {"CAVIAR_HOME": str(folder)}, TOKEN)


@pytest.fixture
def port() -> int:
    return machine.free_port()


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    """A client of the service that the test starts."""
    with Client(machine.local_url("127.0.0.1", port), TOKEN) as client:
        yield client


def _only_child() -> psutil.Process:
    # The database servers of other tests are children of this process, too.
    [child] = [one for one in psutil.Process().children() if "caviar.cli" in one.cmdline()]
    return child


def _start(children: Children, client: Client, folder: Path, *options: str) -> None:
    port = client.url.rpartition(":")[2]
    arguments = ["--port", port, *options]
    log = folder / "service.log"
    machine.start_service(children, client, arguments, environment=_environment(folder), log=log)


def test_service_answers_once_started_and_is_gone_after_the_block(tmp_path: Path, client: Client) -> None:
    with Children() as children:
        _start(children, client, tmp_path)
        assert client.workers().items == []
    with pytest.raises(Unavailable):
        client.workers()
    assert "Uvicorn running" in (tmp_path / "service.log").read_text()


def test_end_of_a_vital_child_is_told(tmp_path: Path, client: Client) -> None:
    with Children() as children:
        _start(children, client, tmp_path)
        service = _only_child()
        service.kill()
        with pytest.raises(CommandFailed, match="the service was killed by SIGKILL"):
            children.pause(_DEADLINE_S)
        assert [child.name for child in children.newly_ended()] == ["the service"]
        assert children.newly_ended() == []


def test_service_that_cannot_start_is_told(tmp_path: Path, client: Client) -> None:
    with Children() as children, pytest.raises(CommandFailed, match="the service ended with status 1"):
        _start(children, client, tmp_path, "--database", "nonsense://")
    assert "nonsense" in (tmp_path / "service.log").read_text()


def test_signal_is_told_and_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Children() as children:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted) as interrupted:
            children.pause(_DEADLINE_S)
    assert interrupted.value.signal is signal.SIGTERM
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_child_that_does_not_listen_is_killed(tmp_path: Path, client: Client) -> None:
    with Children(grace_s=0.0) as children:
        _start(children, client, tmp_path)
        service = _only_child()
        service.suspend()
    assert not psutil.pid_exists(service.pid)


def test_children_end_even_if_their_parent_is_killed(tmp_path: Path, port: int) -> None:
    with running("up", "--port", str(port), environment=_environment(tmp_path)) as up:
        read_until(up, "Caviar is up")
        children = psutil.Process(up.pid).children(recursive=True)
        assert len(children) >= 2
        up.kill()
        _, alive = psutil.wait_procs(children, timeout=_DEADLINE_S)
        assert alive == []


def test_up_ends_all_of_them_on_sigterm(tmp_path: Path, port: int) -> None:
    with running("up", "--workers", "2", "--port", str(port), environment=_environment(tmp_path)) as up:
        read_until(up, "Caviar is up")
        children = psutil.Process(up.pid).children(recursive=True)
        up.send_signal(signal.SIGTERM)
        said, _ = up.communicate(timeout=_DEADLINE_S)
        assert up.returncode == 0, said
        assert "Caviar has ended" in said
        assert not [child for child in children if child.is_running()]


def test_up_says_that_the_service_died(tmp_path: Path, port: int) -> None:
    with running("up", "--port", str(port), environment=_environment(tmp_path)) as up:
        read_until(up, "Caviar is up")
        [service] = [child for child in psutil.Process(up.pid).children() if "serve" in child.cmdline()]
        service.kill()
        said, _ = up.communicate(timeout=_DEADLINE_S)
        assert up.returncode == 1
        assert "the service was killed by SIGKILL" in said
        assert "Traceback" not in said.partition("the service was killed")[2]


def test_taken_port_is_refused_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        for command in ("up", "demo", "serve"):
            result = CliRunner().invoke(app, [command, "--port", number])
            assert result.exit_code == 1
            assert f"cannot listen on 127.0.0.1, port {number}" in result.stderr


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("box.example", "http://box.example:1"),
    ],
)
def test_service_is_reached_from_its_own_machine(host: str, url: str) -> None:
    assert machine.local_url(host, 1) == url


class Terminal:
    """A command on a terminal of 120 by 40 characters."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        leader, follower = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "caviar.cli", *arguments],
            env=environment | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        self._leader = leader
        self.seen = ""

    def read_until(self, text: str) -> None:
        """Read what comes until it holds the text."""
        start = len(self.seen)
        while text not in self.seen[start:]:
            try:
                chunk = os.read(self._leader, 65536)
            except OSError:
                pytest.fail(f"the command ended without showing {text!r}; it showed:\n{self.seen}")
            self.seen += chunk.decode(errors="replace")

    def end(self) -> int:
        """Read the rest and return the exit status."""
        while True:
            try:
                self.seen += os.read(self._leader, 65536).decode(errors="replace")
            except OSError:
                return self.process.wait(timeout=_DEADLINE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._leader)


@pytest.fixture
def trainer(service: ServiceProcess) -> Iterator[Trainer]:
    with httpx2.Client(base_url=service.url, trust_env=False) as http:
        yield Trainer(http)


def test_top_moves_with_the_study_and_ends_with_it(service: ServiceProcess, trainer: Trainer, tmp_path: Path) -> None:
    with Client(service.url, TOKEN) as client:
        client.create_study(study("watched", budget={"max_trials": 2, "max_epochs": 2}))
        terminal = Terminal("top", "watched", "--url", service.url, environment=_environment(tmp_path))
        try:
            terminal.read_until("0/2 trials finished")
            trainer.train([0.9, 0.5])
            terminal.read_until("1/2 trials finished")
            [second] = trainer.claim()
            trainer.report(second, [0.25])
            terminal.read_until("running now")
            trainer.finish(second)
            terminal.read_until("2/2 trials finished")
            assert terminal.end() == 0, terminal.seen
            assert "is complete" in terminal.seen
            assert "Traceback" not in terminal.seen
        finally:
            terminal.close()


def test_top_outlasts_a_restart_of_the_service(tmp_path: Path, client: Client) -> None:
    with Children() as children:
        _start(children, client, tmp_path)
        client.create_study(study("patient"))
        terminal = Terminal("top", "patient", "--url", client.url, environment=_environment(tmp_path))
        try:
            terminal.read_until("0/3 trials finished")
            children.stop()
            terminal.read_until("no answer for")
            with Children() as others:
                _start(others, client, tmp_path)
                client.stop("patient")
                assert terminal.end() == 0, terminal.seen
                assert "is stopped" in terminal.seen
        finally:
            terminal.close()
