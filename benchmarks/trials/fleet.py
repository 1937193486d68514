"""A real service and a real worker on this machine, for measurements."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.trials.models import config, space
from caviar import Client
from caviar.contract.errors import Unavailable

_LIMIT_S = 900.0
_CAVIAR = (sys.executable, "-m", "caviar.cli")


@dataclass(frozen=True)
class Fleet:
    """A service with one worker.

    Attributes:
        client: Speaks to the service.
        worker: Process of the worker.
    """

    client: Client
    worker: psutil.Process

    def ends(
        self,
        name: str,
        *,
        is_varied: bool,
        num_trials: int,
        num_epochs: int,
        watch: Callable[[int], None] | None = None,
    ) -> list[float]:
        """Run a study of random search; return the times at which its trials ended, in order.

        Args:
            name: Of the study.
            is_varied: Whether every trial has another architecture.
            num_trials: How many.
            num_epochs: Of each trial.
            watch: Is told again and again how many trials have ended.
        """
        self.client.create_study(
            {
                "name": name,
                "objective": {"name": "mlp", "config": config(is_varied=is_varied)},
                "space": space(is_varied=is_varied),
                "strategy": {"kind": "random"},
                "pruner": {"kind": "none"},
                "early_stopping": None,
                "budget": {"max_trials": num_trials, "max_epochs": num_epochs},
            }
        )
        deadline = time.monotonic() + _LIMIT_S
        while True:
            ended = [trial.ended_at.timestamp() for trial in self.client.trials(name) if trial.ended_at is not None]
            if watch is not None:
                watch(len(ended))
            if len(ended) >= num_trials:
                return sorted(ended)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(ended)} of {num_trials} trials ended within {_LIMIT_S} s")
            time.sleep(0.5)

    def trainings(self) -> dict[int, int]:
        """Resident memory of the training processes in bytes, by process id."""
        found = self.worker.children(recursive=True)
        return {child.pid: child.memory_info().rss for child in found if "worker.training" in " ".join(child.cmdline())}


@contextmanager
def fleet(*, num_slots: int, cores: Collection[int]) -> Iterator[Fleet]:
    """Start a service and a worker.

    Args:
        num_slots: Slots of the worker, each with one thread, pinned to cores of its own.
        cores: Those that the worker may use.
    """
    token, url = secrets.token_urlsafe(32), f"http://127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"CAVIAR_HOME": home, "CAVIAR_TOKEN": token}
        serve = [*_CAVIAR, "serve", "--port", url.rpartition(":")[2]]
        work = [*_CAVIAR, "work", "--url", url, "--devices", "cpu", "--cpu-slots", str(num_slots)]
        with _started(serve, environment, Path(home) / "serve.log"), Client(url, token) as client:
            _wait_until(lambda: _answers(client), Path(home) / "serve.log")
            command = [*work, "--threads-per-slot", "1"]
            with _started(command, environment, Path(home) / "work.log", cores) as worker:
                fleet = Fleet(client, psutil.Process(worker.pid))
                _wait_until(lambda: len(fleet.trainings()) == num_slots, Path(home) / "work.log")
                yield fleet


@contextmanager
def _started(
    command: list[str], environment: Mapping[str, str], log: Path, cores: Collection[int] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    if cores is not None:
        os.sched_setaffinity(process.pid, cores)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_until(is_so: Callable[[], Any], log: Path) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(log.read_text()[-2000:])
        time.sleep(0.1)


def _answers(client: Client) -> bool:
    try:
        list(client.studies())
    except Unavailable:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
