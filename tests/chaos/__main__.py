"""`python -m tests.chaos`: see docs/chaos.md."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.checks import PROMISES
from tests.chaos.disk import enter_namespace
from tests.chaos.run import Result, run
from tests.chaos.stage import Plan

_SHOWN = 10


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Studies under faults of every kind.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long faults happen (default: 30)")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--services", type=int, default=1, help="service processes on the one database (default: 1)")
    parser.add_argument("--workers", type=int, default=24, help="workers in all (default: 24)")
    parser.add_argument("--real", type=int, default=2, help="how many of them are real ones (default: 2)")
    parser.add_argument("--epoch-s", type=float, default=0.5, help="mean seconds of an epoch (default: 0.5)")
    parser.add_argument("--seed", type=int, help="of all chance (default: a new one)")
    parser.add_argument("--without", action="append", default=[], metavar="KIND", help="leave a kind of fault out")
    parser.add_argument("--folder", type=Path, help="for diaries, logs and evidence (default: a temporary one)")
    options = parser.parse_args(arguments)
    if options.database == "sqlite" and options.services != 1:
        parser.error("an SQLite file has one service; use --database postgres with several")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run and report.

    Returns:
        0 if every promise was kept, 1 if not.
    """
    options = parse(arguments)
    if "disk_filled" not in options.without:
        enter_namespace("tests.chaos", arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="caviar-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    # The database server may run as another user.
    folder.chmod(0o711)
    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    plan = Plan(
        minutes=options.minutes,
        database=options.database,
        num_services=options.services,
        num_workers=options.workers,
        num_real=options.real,
        epoch_s=options.epoch_s,
        seed=seed,
        without=frozenset(options.without),
        folder=folder,
    )
    sys.stdout.write(f"seed {seed}, folder {folder}\n")
    result = asyncio.run(run(plan))
    sys.stdout.write(told(result, seed))
    if result.num_breaches:
        sys.stdout.write(f"diaries, logs and evidence: {folder}\n")
        return 1
    if options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def told(result: Result, seed: int) -> str:
    """A result in words."""
    lines = ["", "What happened:"]
    lines += [f"  {kind:24} {count:7}" for kind, count in sorted(result.counts.items())]
    lines += [f"  {kind:24} {'never':>7}" for kind in result.missing]
    lines += ["What was done:"]
    lines += [f"  {name.replace('_', ' '):24} {count:7}" for name, count in result.figures.items()]
    lines += ["What was promised, and how often it was broken:"]
    lines += [f"  {name:12} {len(result.breaches[name]):7}  {promise}" for name, promise in PROMISES.items()]
    for found in result.breaches.values():
        lines += [f"{breach.check}: {breach.detail}" for breach in found[:_SHOWN]]
    verdict = f"{result.num_breaches} promises were broken" if result.num_breaches else "every promise was kept"
    return "\n".join([*lines, f"{verdict}; seed {seed}", ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
