"""A service process for benchmarks, on a database and a port of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil

TOKEN = "a-token-of-the-benchmark-only"
"""Its access token."""

_START_S = 120.0


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[tuple[str, psutil.Process]]:
    """A service for as long as the block lasts: its address, and its process.

    Args:
        home: Folder of its files, its database among them.
        settings: Further settings by the names of their variables.
    """
    port = free_port()
    command = [sys.executable, "-m", "caviar.cli", "serve", "--port", str(port)]
    environment = {"CAVIAR_HOME": str(home), "CAVIAR_TOKEN": TOKEN, **settings}
    with started(command, port, environment) as process:
        yield f"http://127.0.0.1:{port}", process


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def started(command: list[str], port: int, environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    """A process that serves, from its first answer on, for as long as the block lasts."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    origin, end = f"http://127.0.0.1:{port}", time.monotonic() + _START_S
    try:
        while not _answers(origin):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the service did not start in {_START_S:g} s; its exit status is {process.poll()}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _answers(origin: str) -> bool:
    try:
        httpx2.get(f"{origin}/healthz")
    except httpx2.TransportError:
        return False
    return True
