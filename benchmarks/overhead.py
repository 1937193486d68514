"""What Caviar adds to a training: whole trials (claim, build, callbacks, reports, finish) against bare Keras `fit`.

A real service and a real worker with one slot train trials one after the other. Each trial trains the same model on
the same data for the same epochs twice in the same process: bare, then under Caviar. A trial's time under Caviar is the
time from its claim to the next trial's claim, less its bare part, so that all between two trials counts against Caviar.

    python benchmarks/overhead.py [--trials 25] [--epochs 20] [--steps 75]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from caviar import Client
from caviar.contract.errors import Unavailable

_HERE = Path(__file__).parent
_LIMIT_S = 900.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(client: Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            list(client.studies())
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _train(folder: Path, arguments: argparse.Namespace) -> tuple[list[float], list[float]]:
    token, port = secrets.token_urlsafe(32), _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "CAVIAR_HOME": str(folder),
        "CAVIAR_TOKEN": token,
        "PAIRED_EPOCHS": str(arguments.epochs),
        "PAIRED_STEPS": str(arguments.steps),
        "PAIRED_DIARY": str(folder / "paired.jsonl"),
    }
    caviar = [sys.executable, "-m", "caviar.cli"]
    work = [*caviar, "work", "--url", url, "--cpu-slots", "1", "--threads-per-slot", "1"]
    work += ["--objective", str(_HERE / "objectives" / "paired.py")]
    with (folder / "log").open("wb") as log:
        commands = ([*caviar, "serve", "--port", str(port)], work)
        processes = [subprocess.Popen(command, env=environment, stdout=log, stderr=log) for command in commands]
        try:
            with Client(url, token) as client:
                _wait_for(client)
                return _measure(client, arguments, folder)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


def _measure(client: Client, arguments: argparse.Namespace, folder: Path) -> tuple[list[float], list[float]]:
    deadline = time.monotonic() + 120
    while not any(objective.name == "paired" for objective in client.objectives().items):
        if time.monotonic() > deadline:
            raise TimeoutError((folder / "log").read_text()[-2000:])
        time.sleep(0.1)
    client.create_study(
        {
            "name": "overhead",
            "objective": {"name": "paired"},
            "strategy": {"kind": "random"},
            "pruner": {"kind": "median", "n_startup_trials": 1000},
            "early_stopping": {"patience": arguments.epochs},
            # Two more than are counted: the first trial warms up, the last one has no next claim.
            "budget": {"max_trials": arguments.trials + 2, "max_epochs": arguments.epochs},
        }
    )
    client.wait("overhead", _LIMIT_S)
    trials = list(client.trials("overhead"))
    diary = [json.loads(line) for line in (folder / "paired.jsonl").read_text().splitlines()]
    starts = [trial.started_at.timestamp() for trial in trials if trial.started_at is not None]
    whole = [later - earlier for earlier, later in itertools.pairwise(starts)]
    # Only trials of full length are compared with a bare training of full length.
    kept = [i for i in range(1, len(whole)) if trials[i].num_epochs == arguments.epochs]
    return [diary[i]["bare_s"] for i in kept], [whole[i] - diary[i]["both_s"] for i in kept]


def main() -> None:
    """Run the comparison and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=25, help="trials that are counted")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of each training")
    parser.add_argument("--steps", type=int, default=75, help="batches of 32 per epoch; sets the length of an epoch")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bare, under_caviar = _train(Path(folder), arguments)
    ratios = [caviar / alone - 1 for alone, caviar in zip(bare, under_caviar, strict=True)]
    alone = statistics.median(bare)
    print(f"trials of {arguments.epochs} epochs counted: {len(bare)}")
    print(f"bare Keras, median of a training:  {alone:7.3f} s ({alone / arguments.epochs:.3f} s per epoch)")
    print(f"under Caviar, median of a trial:   {statistics.median(under_caviar):7.3f} s")
    quartiles = statistics.quantiles(ratios, n=4)
    print(
        f"overhead, median of paired ratios: {quartiles[1]:+7.2%} (quartiles {quartiles[0]:+.2%} … {quartiles[2]:+.2%})"
    )


if __name__ == "__main__":
    main()
