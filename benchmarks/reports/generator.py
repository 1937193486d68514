"""A load generator (wrk) on the route of reports: the service's, and a bare one beside it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from sqlalchemy.engine import make_url

from benchmarks.reports.caviar_fleet import OBJECTIVE, prepare
from benchmarks.serving import TOKEN, free_port, serving, started

_SCRIPT = Path(__file__).with_name("report.lua")
_ROOT = Path(__file__).resolve().parents[2]
# Beyond what any window reaches, so that no trial comes to its end.
_MAX_EPOCHS = 1_000_000
_EPOCHS_PER_WINDOW = 20_000
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Window:
    """What a while of load has shown.

    Attributes:
        rate: Requests a second that were answered.
        p99_s: 99 % of the answers took less.
    """

    rate: float
    p99_s: float


class Target:
    """Something that takes reports.

    Attributes:
        origin: Its address.
        trials: A line for each trial that is reported on: its part of the body.
    """

    def __init__(self, origin: str, trials: Sequence[str]) -> None:
        """Remember where it listens and what to report on."""
        self.origin = origin
        self.trials = trials
        self._num_windows = 0

    def load(self, connections: int, seconds: float, scratch: Path) -> Window:
        """Send reports for a while, each on its own, as fast as they are answered.

        Raises:
            RuntimeError: There is no wrk, or an answer was not 200.
        """
        program = shutil.which("wrk")
        if program is None:
            raise RuntimeError("the load generator wrk is not installed; on Debian: apt-get install wrk")
        lines = scratch / "trials.txt"
        lines.write_text("".join(f"{line}\n" for line in self.trials))
        first = 1 + self._num_windows * _EPOCHS_PER_WINDOW
        self._num_windows += 1
        command = [program, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(_SCRIPT), self.origin]
        arguments = ["--", TOKEN, "1", str(lines), str(first)]
        told = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in told or "Socket errors" in told:
            raise RuntimeError(f"not all requests were answered:\n{told}")
        rate, latency = re.search(r"Requests/sec:\s+([\d.]+)", told), re.search(r"99%\s+([\d.]+)(us|ms|s)", told)
        if rate is None or latency is None:
            raise RuntimeError(f"received an output of wrk that cannot be read:\n{told}")
        return Window(float(rate[1]), float(latency[1]) * _UNITS[latency[2]])


@contextmanager
def service(database_url: str, scratch: Path, num_trials: int) -> Iterator[Target]:
    """Caviar with so many trials in training, of a study with median pruning."""
    prepare(database_url, 0, max_epochs=_MAX_EPOCHS)
    settings = {
        "CAVIAR_DATABASE_URL": database_url,
        "CAVIAR_LEASE_TTL_S": "3600",
        "CAVIAR_WORKER_REQUESTS_PER_S": "0",
        "CAVIAR_REQUESTS_PER_S": "0",
    }
    with serving(scratch, **settings) as (origin, _):
        yield Target(origin, _claimed(origin, num_trials))


def _claimed(origin: str, num_trials: int) -> list[str]:
    with httpx2.Client(
        base_url=f"{origin}/api/v1", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120, trust_env=False
    ) as http:
        offer = {"name": "w", "host": "h", "slots": num_trials, "objectives": [{"name": OBJECTIVE}]}
        worker_id = http.post("/workers", json=offer).raise_for_status().json()["worker_id"]
        body = {"request_id": "all", "max_trials": num_trials}
        found = http.post(f"/workers/{worker_id}:claim", json=body).raise_for_status().json()["assigned"]
    return [f'"trial_id":{trial["trial_id"]},"lease":"{trial["lease"]}"' for trial in found]


@contextmanager
def bare(database_url: str, num_trials: int) -> Iterator[Target]:
    """A bare route that inserts a row for each report, on an empty database."""
    port = free_port()
    address = make_url(database_url).render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.reports.bare", address, str(port)]
    with started(command, port, {"PYTHONPATH": str(_ROOT)}):
        trials = [f'"trial_id":{number},"lease":"none"' for number in range(1, num_trials + 1)]
        yield Target(f"http://127.0.0.1:{port}", trials)
