"""A service process for benchmarks, on a database and a port of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil

TOKEN = "a-token-of-the-benchmark-only"
"""Its access token."""

_START_S = 120.0


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A service on the database of a folder for as long as the block lasts: its address, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "caviar.cli", "serve", "--port", str(port)]
    environment = {**os.environ, "CAVIAR_HOME": str(home), "CAVIAR_TOKEN": TOKEN}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    origin, end = f"http://127.0.0.1:{port}", time.monotonic() + _START_S
    try:
        while not _answers(origin):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the service did not start in {_START_S:g} s; its exit status is {process.poll()}")
            time.sleep(0.1)
        yield origin, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _answers(origin: str) -> bool:
    try:
        httpx2.get(f"{origin}/healthz")
    except httpx2.TransportError:
        return False
    return True
