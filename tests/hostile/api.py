"""Schemathesis on the whole API of a real service: every check, every phase, until so many requests were answered.

python -m tests.hostile.api --requests 20000 [--database sqlite|postgres|both] [--seed 1] [--max-time 60]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2

from tests.e2e.processes import TOKEN, Site, site
from tests.hostile.scenery import Scenery, furnish
from tests.postgres import PostgresServer

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = "tests.hostile.api_hooks"
DATABASES = ("sqlite", "postgres")
_EXAMPLES = 25
_START_S = 120.0
# All requests come from one address, faster than people's: they are to reach the routes, not to be told to wait.
_UNLIMITED = {"CAVIAR_REQUESTS_PER_S": "0", "CAVIAR_STRANGER_REQUESTS_PER_S": "0", "CAVIAR_FAILURES_PER_S": "0"}
# Longer than any run: what the scenery has in training stays so.
_LEASE_TTL_S = 3600.0


@contextlib.contextmanager
def furnished(folder: Path, database: str) -> Iterator[tuple[Site, Scenery]]:
    """A service in its own process, on an own database of a kind, with something of everything."""
    with contextlib.ExitStack() as stack:
        url = None
        if database == "postgres":
            # Not in the folder: the path of a socket may hold 107 characters.
            place = Path(tempfile.mkdtemp(prefix="caviar-pg-"))
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            server = PostgresServer(place)
            stack.callback(server.stop, immediate=True)
            server.start()
            url = server.create_database("hostile")
        started = stack.enter_context(site(folder, database_url=url, lease_ttl_s=_LEASE_TTL_S, settings=_UNLIMITED))
        with httpx2.Client(base_url=started.url, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            scenery = furnish(http)
            # It is put together once; on a busy machine that takes longer than Schemathesis waits for it.
            assert http.get("/api/v1/openapi.json", timeout=_START_S).is_success
        yield started, scenery


def once(
    started: Site, scenery: Scenery, *, seed: int, examples: int = _EXAMPLES, max_time_s: int | None = None
) -> int:
    """Run Schemathesis once.

    Args:
        started: The service.
        scenery: What is in it.
        seed: Of all that Schemathesis draws.
        examples: Cases per operation in each phase that draws them.
        max_time_s: Seconds after which it ends; None for no limit.
    Returns:
        How many requests were answered.
    Raises:
        AssertionError: A check failed, or a request was not answered.
    """
    told, count = started.folder / "scenery.json", started.folder / "requests"
    told.write_text(json.dumps(scenery.told()))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"]
    command += [f"{started.url}/api/v1/openapi.json", "--no-color", "--no-shrink", f"--max-examples={examples}"]
    command += [f"--seed={seed}", "--generation-database=none", "--warnings=off"]
    command += [f"--max-time={max_time_s}"] if max_time_s else []
    environment = {
        "SCHEMATHESIS_HOOKS": HOOKS,
        "HOSTILE_TOKEN": TOKEN,
        "HOSTILE_SCENERY": str(told),
        "HOSTILE_COUNT": str(count),
        "HOSTILE_SEED": str(seed),
    }
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    failed = [line for line in started.service.log.read_text(errors="replace").splitlines() if "api.failed" in line]
    assert not failed, failed[:3]
    return int(count.read_text())


def main(arguments: list[str] | None = None) -> int:
    """Ask until as many requests were answered as are wanted, on each database; 0 if nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="on each database")
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-time", type=int, help="seconds of one run, after which another one begins")
    asked = parser.parse_args(arguments)
    for database in DATABASES if asked.database == "both" else (asked.database,):
        began, answered, seed = time.monotonic(), 0, asked.seed
        while answered < asked.requests:
            # Each run begins with a service as it was furnished: what one run deletes, the next has again.
            with tempfile.TemporaryDirectory() as folder, furnished(Path(folder), database) as (started, scenery):
                answered += once(started, scenery, seed=seed, max_time_s=asked.max_time)
            seed += 1
            taken = time.monotonic() - began
            sys.stdout.write(f"{database}: {answered} requests, 0 failures, {seed - asked.seed} runs, {taken:.0f} s\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
