"""The folder of a worker, which no other worker uses at the same time."""

from __future__ import annotations

import fcntl
import itertools
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from caviar.contract.errors import CaviarError


class StateInUse(CaviarError):
    """Another worker uses this state folder."""

    code, status, title = "state_in_use", 409, "State folder in use"


@dataclass(frozen=True)
class Home:
    """A folder that is locked until this process ends or `close` is called.

    Attributes:
        name: Name of the worker.
        folder: Where its outbox and logs are.
        lock: The open lock file.
    """

    name: str
    folder: Path
    lock: IO[bytes]

    def close(self) -> None:
        """Let other workers use the folder."""
        self.lock.close()


def settle(name: str | None, state_dir: Path | None, parent: Path) -> Home:
    """Find, make and lock the folder of a worker.

    Args:
        name: Name of the worker; None for the machine's, with a number if that is taken.
        state_dir: Its folder; None for one of its name.
        parent: Where the folders of workers are.
    Raises:
        StateInUse: A worker of this name, or with this folder, is running.
    """
    machine = machine_name()
    if name is None and state_dir is None:
        # Two workers that start at the same time both look for the first free name.
        for number in itertools.count(1):
            chosen = machine if number == 1 else f"{machine}-{number}"
            if (lock := _lock(parent / chosen)) is not None:
                return Home(chosen, parent / chosen, lock)
    chosen = name or machine
    folder = state_dir or parent / chosen
    lock = _lock(folder)
    if lock is None:
        raise StateInUse(f"another worker uses {folder}; give this one another name or state folder")
    return Home(chosen, folder, lock)


def machine_name() -> str:
    """The host name, without its domain."""
    return socket.gethostname().split(".")[0] or "worker"


def _lock(folder: Path) -> IO[bytes] | None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (folder / "lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
