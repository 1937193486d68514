"""Fuzzing: each target gets hostile input for as long as told; the first answer that is not as it should be ends it.

python -m tests.hostile.fuzz --minutes 10 [--target NAME] [--jobs 1] [--engine hypothesis]

With `pip install -e '.[fuzz]'` atheris guides the input by the coverage of our code; without it Hypothesis draws it.
What was found lies under .hypothesis/hostile and is tried first the next time.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.hostile.targets import MODULES, close, load, names
from worker import logs

_KEPT = Path(".hypothesis/hostile")
_PORTION = 200
_EXIT_S = 120.0


def run(name: str, minutes: float, engine: str) -> None:
    """Fuzz one target in this process; an exception tells what was found."""
    end = time.monotonic() + 60 * minutes
    # As in a worker: its lines take whatever is said, which those of an unconfigured log do not.
    logs.configure("warning", "fuzz")
    try:
        if engine == "atheris":
            _guided(name, end)
        else:
            _drawn(name, end)
    finally:
        close()


def _settings(**changes: Any) -> settings:
    return settings(
        deadline=None,
        database=DirectoryBasedExampleDatabase(_KEPT),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=True,
        **changes,
    )


def _drawn(name: str, end: float) -> None:
    began, count = time.monotonic(), [0]
    # Hypothesis learns within a portion, and the next one begins elsewhere.
    portion = _settings(max_examples=_PORTION, phases=(Phase.reuse, Phase.generate, Phase.target, Phase.shrink))
    target = _counting(portion(load(name)), count)
    while time.monotonic() < end:
        seed(time.time_ns())(target)()
        _tell(name, count[0], time.monotonic() - began)


def _counting(test: Callable[[], None], count: list[int]) -> Callable[[], None]:
    inner = test.hypothesis.inner_test  # type: ignore[attr-defined]  # Hypothesis adds it

    def counted(*arguments: Any, **named: Any) -> None:
        count[0] += 1
        inner(*arguments, **named)

    test.hypothesis.inner_test = counted  # type: ignore[attr-defined]  # as its documentation says
    return test


def _guided(name: str, end: float) -> None:
    import atheris

    with atheris.instrument_imports(include=["caviar", "service", "worker"]):
        for module in MODULES:
            importlib.import_module(module)
    target, began, number = load(name), time.monotonic(), 0
    one = _settings()(target).hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # Hypothesis adds it

    def once(data: bytes) -> None:
        nonlocal number
        one(data)
        number += 1
        if number % _PORTION == 0 or time.monotonic() > end:
            _tell(name, number, time.monotonic() - began)

    seconds = max(1, round(end - time.monotonic()))
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-timeout=60", "-rss_limit_mb=4096", "-max_len=8192",
                   f"-artifact_prefix={_KEPT}/", "-print_final_stats=1"], once)  # fmt: skip
    atheris.Fuzz()


def _tell(name: str, number: int, seconds: float) -> None:
    sys.stdout.write(f"{name}: {number} executions, {seconds / 60:.1f} minutes, nothing found\n")
    sys.stdout.flush()


def _fuzzed(name: str, minutes: float, engine: str) -> bool:
    process = multiprocessing.get_context("spawn").Process(target=run, args=(name, minutes, engine))
    process.start()
    process.join(60 * minutes + _EXIT_S)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def main(arguments: list[str] | None = None) -> int:
    """Fuzz the targets, each in a process of its own; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target")
    parser.add_argument("--target", choices=names(), action="append", help="may be repeated; all by default")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time, each of which takes a core")
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), help="atheris where it is installed")
    asked = parser.parse_args(arguments)
    engine = asked.engine or ("atheris" if importlib.util.find_spec("atheris") else "hypothesis")
    _KEPT.mkdir(parents=True, exist_ok=True)
    targets = asked.target or names()
    with ThreadPoolExecutor(asked.jobs) as pool:
        sound = pool.map(partial(_fuzzed, minutes=asked.minutes, engine=engine), targets)
        found = [name for name, is_sound in zip(targets, sound, strict=True) if not is_sound]
    sys.stdout.write(f"found something: {', '.join(found)}\n" if found else f"nothing found, by {engine}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
