"""Keras's backends compared: the same small trials, as a slot of a worker trains them, on each backend in turn.

python benchmarks/backends.py [--trials 8] [--epochs 20] [--rounds 3]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_BACKENDS = ("tensorflow", "jax", "torch")
_ROWS = {
    "start_s": ("start of a process, s", 1.0, ".2f"),
    "start_bytes": ("memory after the start, MiB", 2.0**20, ".0f"),
    "first_s": ("first trial, s", 1.0, ".2f"),
    "same_s": ("trial of a known architecture, s", 1.0, ".2f"),
    "varied_s": ("trial of a new architecture, s", 1.0, ".2f"),
    "bytes_per_varied": ("memory kept per new architecture, MiB", 2.0**20, ".1f"),
}


def _measure(backend: str, num_trials: int, num_epochs: int) -> dict[str, float]:
    # One thread, as a slot that has one core.
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    }
    command = [sys.executable, "-m", "benchmarks.trials.backend", str(num_trials), str(num_epochs)]
    done = subprocess.run(command, cwd=_ROOT, env=environment, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Run the comparison and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8, help="trials of each kind that are counted")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of each trial")
    parser.add_argument("--rounds", type=int, default=3, help="how often each backend has its turn")
    arguments = parser.parse_args()
    installed = [backend for backend in _BACKENDS if importlib.util.find_spec(backend) is not None]
    rounds = [
        {backend: _measure(backend, arguments.trials, arguments.epochs) for backend in installed}
        for _ in range(arguments.rounds)
    ]
    print(f"{'medians of ' + str(arguments.rounds) + ' rounds':40}" + "".join(f"{name:>12}" for name in installed))
    for key, (title, divisor, form) in _ROWS.items():
        values = [statistics.median(found[backend][key] for found in rounds) / divisor for backend in installed]
        print(f"{title:40}" + "".join(f"{value:>12{form}}" for value in values))
    for backend in sorted(set(_BACKENDS) - set(installed)):
        print(f"{backend} is not installed here, so it is left out")


if __name__ == "__main__":
    main()
