"""Real processes of Caviar: started by their commands, and killed without mercy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from caviar import Client
from caviar.contract.errors import Unavailable

T = TypeVar("T")
TOKEN = "a-token-of-the-tests-only"
# A machine that does much else takes a minute to load what a service imports.
_START_S = 180.0
_POLL_S = 0.05


def until(probe: Callable[[], T | None], *, deadline_s: float, what: str) -> T:
    """Ask again and again until the answer is true; fail after the deadline.

    Args:
        probe: Asked every 50 ms; an unavailable service counts as no.
        deadline_s: Seconds.
        what: Is waited for, for the message.
    """
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            if answer := probe():
                return answer
        except Unavailable:
            pass
        time.sleep(_POLL_S)
    raise AssertionError(f"waited {deadline_s:g} s in vain for {what}")


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class CaviarProcess:
    """One running `caviar` command."""

    def __init__(self, folder: Path, name: str, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        """Prepare a command; its output goes to a file of its name, its CAVIAR_HOME is the folder.

        Args:
            folder: For its files.
            name: Of the command, in messages.
            arguments: Of the command line.
            settings: Further variables of its environment.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("CAVIAR_")} | {
            "CAVIAR_HOME": str(folder / "home"),
            "CAVIAR_TOKEN": TOKEN,
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    def start(self) -> None:
        """Start the command (again)."""
        command = [sys.executable, "-m", "caviar.cli", *self._arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that this object started."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it the way a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and wait for its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=90)

    def end(self) -> None:
        """See to it that nothing of it is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()

    def shown_log(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


class Site:
    """A service and its workers in a folder of their own."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        lease_ttl_s: float = 3.0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a service on a free port.

        Args:
            folder: For logs, the worker's state, and the embedded database.
            database_url: Of the service; None for SQLite in the folder.
            lease_ttl_s: Short, so that a loss is noticed soon.
            settings: Further variables of the environment of the service.
        """
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        database = database_url or f"sqlite:///{folder / 'caviar.db'}"
        flags = ("--port", str(self.port), "--database", database, "--lease-ttl-s", str(lease_ttl_s))
        self.service = CaviarProcess(folder, "service", "serve", *flags, settings=settings)
        self.workers: list[CaviarProcess] = []
        self.client = Client(self.url, TOKEN)

    def start_service(self) -> None:
        """Start the service (again), and return once it answers."""
        self.service.start()
        until(self._answers, deadline_s=_START_S, what=f"the service\n{self.service.shown_log()}")

    def _answers(self) -> bool:
        assert self.service.process.poll() is None, f"the service ended\n{self.service.shown_log()}"
        list(self.client.studies())
        return True

    def start_worker(
        self, name: str, *flags: str, slots: int = 1, settings: Mapping[str, str] | None = None
    ) -> CaviarProcess:
        """Start a worker whose slots have one thread each."""
        common = ("--url", self.url, "--name", name, "--cpu-slots", str(slots), "--threads-per-slot", "1")
        worker = CaviarProcess(self.folder, name, "work", *common, *flags, settings=settings)
        worker.start()
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in (*self.workers, self.service):
            process.end()
        self.client.close()


@contextmanager
def site(
    folder: Path,
    *,
    database_url: str | None = None,
    lease_ttl_s: float = 3.0,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """A site, as `Site` describes it, that is gone at the end; after a failure its logs are shown."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Site(folder, database_url=database_url, lease_ttl_s=lease_ttl_s, settings=settings)
    try:
        made.start_service()
        yield made
    except BaseException:
        for process in (made.service, *made.workers):
            sys.stderr.write(f"--- {process.name}\n{process.shown_log()}\n")
        raise
    finally:
        made.end()
