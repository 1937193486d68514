"""One ordinary worker as a child process on whatever node this code finds itself."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pydantic import SecretStr

from caviar import credentials
from worker.engines.demand import MEMBER_LABEL

NODE_LABEL = "engine_node"
"""Label that names the node of a worker."""

_MAX_LOG_BYTES = 10 * 1024**2
_LAST_WORDS_BYTES = 2048
_POLL_S = 0.2
# A cluster gives a worker some of a machine's cores, not certain ones: two workers would pin the same.
_DEFAULTS = {"CAVIAR_PIN_CORES": "false"}
# What a node's own environment may say for a worker that someone starts there by hand.
_NOT_FROM_THE_NODE = {"CAVIAR_ENGINE", "CAVIAR_EXIT_WHEN_IDLE", "CAVIAR_NAME", "CAVIAR_STATE_DIR"}


@dataclass(frozen=True)
class Errand:
    """What a worker is started with, wherever it comes to be.

    Attributes:
        member_id: What the engine calls it.
        variables: Settings of the operator, as `CAVIAR_…` variables.
        num_cpus: Cores that the cluster sets aside for it.
        num_gpus: GPUs that the cluster sets aside for it.
        grace_s: Seconds between the request to end and the kill.
    """

    member_id: str
    variables: Mapping[str, str]
    num_cpus: float
    num_gpus: float
    grace_s: float


@dataclass(frozen=True)
class Place:
    """Where a worker has come to be.

    Attributes:
        node: Name of the node, for people.
        gpus: The GPUs that the cluster gives it there, by number or UUID.
    """

    node: str
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Departure:
    """How a worker ended.

    Attributes:
        status: Exit status of its process, negative for the number of a signal; None if nobody saw it.
        was_asked: Whether it was asked to end.
        name: The worker's; empty if it never had one.
        last_words: The end of its log.
        lived_s: Seconds between its start and its end.
    """

    status: int | None
    was_asked: bool
    name: str = ""
    last_words: str = ""
    lived_s: float = 0.0


@dataclass(frozen=True)
class Nest:
    """The name and the folder of one worker on a node.

    Attributes:
        name: Name of the worker.
        folder: Where its state and its log are.
        lock: Open file whose lock holds the name; the child inherits it, and so keeps it if it lives longer.
    """

    name: str
    folder: Path
    lock: IO[bytes]


@dataclass
class Host:
    """Runs a worker and ends it when asked; `run` blocks, `drain` comes from another thread.

    Attributes:
        errand: What the worker is started with.
        token: Access token of the service; None to leave it to the node.
    """

    errand: Errand
    token: SecretStr | None = field(repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _is_leaving: bool = False
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def run_at(self, place: Place) -> Departure:
        """Start the worker and wait for its end.

        The calling thread must live as long as the worker: the kernel ends the worker with it.
        """
        nest = settle(place.node, credentials.home() / "engine")
        log = nest.folder / "worker.log"
        with nest.lock:
            with self._guard:
                if self._is_leaving:
                    return Departure(0, was_asked=True)
                self._child = child = _start(worker_environment(os.environ, self.errand, place, nest, self.token), nest)
            started_at = time.monotonic()
            status = self._wait(child)
        return Departure(status, self._is_leaving, nest.name, _last_words(log), time.monotonic() - started_at)

    def drain(self) -> None:
        """Have the worker come to the end of its epochs and hand back its trials; repeating it changes nothing."""
        with self._guard:
            self._is_leaving = True

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        deadline_s: float | None = None
        while True:
            try:
                return child.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                pass
            # A second signal would mean "at once" to the worker, so it gets one.
            if self._is_leaving and deadline_s is None:
                child.send_signal(signal.SIGTERM)
                deadline_s = time.monotonic() + self.errand.grace_s
            if deadline_s is not None and time.monotonic() > deadline_s:
                child.kill()


def settle(node: str, parent: Path) -> Nest:
    """Find, make and lock the first free name of a worker on this node; its folder may hold what a former one left.

    Args:
        node: Name of the node.
        parent: Where the folders of such workers are.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", node).lstrip("._-")[:100] or "node"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in itertools.count(1):
        name = f"{stem}-{number}"
        lock = (parent / f"{name}.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        folder = parent / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return Nest(name, folder, lock)
    raise AssertionError("numbers do not end")


def worker_environment(
    outer: Mapping[str, str], errand: Errand, place: Place, nest: Nest, token: SecretStr | None
) -> dict[str, str]:
    """The environment of a worker's process.

    Args:
        outer: That of the node; what the operator gave the engine counts more.
        errand: What the worker is started with.
        place: Where it is.
        nest: Its name and folder.
        token: Access token; None to leave it to the node. It travels in no command line and no description of a task.
    """
    kept = {name: value for name, value in outer.items() if name not in _NOT_FROM_THE_NODE}
    chosen = {**_DEFAULTS, **kept, **_resources(errand, place), **errand.variables}
    labels = {**json.loads(chosen.get("CAVIAR_LABELS") or "{}"), MEMBER_LABEL: errand.member_id, NODE_LABEL: place.node}
    return {
        **chosen,
        "CAVIAR_NAME": nest.name,
        "CAVIAR_STATE_DIR": str(nest.folder),
        "CAVIAR_LABELS": json.dumps(labels),
        **({} if token is None else {"CAVIAR_TOKEN": token.get_secret_value()}),
    }


def _resources(errand: Errand, place: Place) -> dict[str, str]:
    """The settings that hold a worker to what the cluster gave it, for those that the operator left open."""
    cores = max(1, int(errand.num_cpus))
    if place.gpus:
        # NVML and CUDA number the devices alike only in this order.
        return {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CAVIAR_DEVICES": ",".join(place.gpus),
            "CAVIAR_THREADS_PER_SLOT": str(cores),
        }
    return {"CAVIAR_DEVICES": "cpu", "CAVIAR_CPU_SLOTS": str(cores), "CAVIAR_THREADS_PER_SLOT": "1"}


def _start(environment: Mapping[str, str], nest: Nest) -> subprocess.Popen[bytes]:
    path = nest.folder / "worker.log"
    if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    command = [sys.executable, "-m", "caviar.cli", "work", "--engine", "local", "--end-with", str(os.getpid())]
    with path.open("ab") as log:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(nest.lock.fileno(),),
            start_new_session=True,
        )


def _last_words(path: Path) -> str:
    with path.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(0, end - _LAST_WORDS_BYTES))
        return log.read().decode("utf-8", errors="replace")
