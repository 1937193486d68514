"""What searching costs the service in CPU time: claims, decisions and loading, for studies with a long past.

Everything runs through the service's own code on real SQLite rows, without HTTP. The targets are printed beside.

    python benchmarks/search_cost.py [--trials 1000,10000,100000] [--running 1,32,128] [--repeats 60]
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.search.fleet import Fleet
from benchmarks.search.history import SPACE, Past, fill
from benchmarks.search.in_process import OBJECTIVE, InProcess
from caviar.contract.study import StudySpec
from service.use_cases import searching
from service.use_cases.searching import Search, Searches, Suggestion

_CLAIM_TARGETS_MS = {1_000: 5.0, 10_000: 10.0, 100_000: 20.0}
_TPE_TARGET_MS = 15.0
_REPORT_TARGET_MS = 0.3
_LOAD_TARGET_MS = 2_000.0
_TRIALS = 10_000
_SLOTS = 8
_MAX_EPOCHS = 52
_LOADED_EPOCHS = 20
_LOADS = 5


class Row:
    """One line of the table: a median and what it must stay below."""

    def __init__(self, what: str, seconds: list[float], target_ms: float | None = None) -> None:
        """Sum up CPU seconds, one per repetition."""
        ordered = sorted(1000 * value for value in seconds)
        self.what, self.target_ms, self.count = what, target_ms, len(ordered)
        self.median_ms = statistics.median(ordered)
        self.p95_ms = ordered[math.ceil(0.95 * len(ordered)) - 1]

    def show(self) -> None:
        """Print the line."""
        verdict = "met" if self.target_ms is None or self.median_ms < self.target_ms else "MISSED"
        target = "" if self.target_ms is None else f"{self.target_ms:9.1f} {verdict}"
        print(f"{self.what:58s} {self.median_ms:9.3f} {self.p95_ms:9.3f} {self.count:6d} {target}", flush=True)


@contextmanager
def _study(strategy: str, past: Past, *, max_epochs: int = _MAX_EPOCHS) -> Iterator[InProcess]:
    body = {
        "name": "cost",
        "objective": {"name": OBJECTIVE},
        "space": SPACE,
        "strategy": {"kind": strategy},
        "early_stopping": None,
        "budget": {"max_trials": 1_000_000, "max_epochs": max_epochs},
    }
    spec = StudySpec.model_validate(body)
    with InProcess(spec) as service:
        fill(service.service.engine, spec, past, service.clock())
        gc.collect()
        yield service


def _claims(strategy: str, num_trials: int, repeats: int, target_ms: float | None) -> Iterator[Row]:
    """Claims that are answered with a new configuration, while the study goes on."""
    searching_s: list[float] = []
    with _study(strategy, Past(num_trials, has_rounds=strategy == "coarse_to_fine")) as service:
        fleet = Fleet(service, _SLOTS)
        fleet.proposed_s.clear()
        with mock.patch.object(Search, "next", _timed(Search.next, searching_s, Suggestion)):
            while len(fleet.proposed_s) < repeats:
                fleet.step()
    yield Row(f"claim, {strategy}, {num_trials:,} trials", fleet.proposed_s, target_ms)
    yield Row("    of it in sampler and pruner", searching_s)


def _timed(function: Callable[..., Any], spent: list[float], result: type[Any] = object) -> Callable[..., Any]:
    """The function, its CPU seconds appended to a list whenever it returns something of a kind."""

    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.thread_time()
        returned = function(*arguments, **options)
        if isinstance(returned, result):
            spent.append(time.thread_time() - started)
        return returned

    return timed


def _reports(num_running: int, num_trials: int, repeats: int) -> Row:
    """What the search adds to a report: its decision, and taking the epoch into the mirror."""
    seconds: list[float] = []
    judging: list[float] = []
    mirroring: list[float] = []
    with _study("coarse_to_fine", Past(num_trials, has_rounds=True)) as service:
        fleet = Fleet(service, num_running)
        with (
            mock.patch.object(Search, "judge", _timed(Search.judge, judging)),
            mock.patch.object(Searches, "apply", _timed(Searches.apply, mirroring)),
        ):
            while len(seconds) < repeats:
                judging.clear()
                mirroring.clear()
                fleet.step()
                if judging:  # The last epoch of a trial is not judged.
                    # The first commit is that of the report; one of a claim may follow.
                    seconds.append(judging[0] + mirroring[0])
    return Row(f"report without the database, {num_running} running", seconds, _REPORT_TARGET_MS)


def _loads(num_trials: int, repeats: int) -> Iterator[Row]:
    """Building the search of a study from its rows, as at the start of the service."""
    seconds: list[float] = []
    elapsed: list[float] = []
    with _study("coarse_to_fine", Past(num_trials, num_epochs=_LOADED_EPOCHS), max_epochs=_LOADED_EPOCHS) as service:
        for _ in range(repeats):
            gc.collect()
            started, cpu_started = time.perf_counter(), time.process_time()
            with service.service.reading() as tx:
                searching.load(tx, 1)
            seconds.append(time.process_time() - cpu_started)
            elapsed.append(time.perf_counter() - started)
    yield Row(f"loading {num_trials:,} trials × {_LOADED_EPOCHS} epochs", seconds, _LOAD_TARGET_MS)
    yield Row("    elapsed time of the same", elapsed)


def _restarts(num_trials: int, repeats: int) -> Iterator[Row]:
    """The first claim of a study after a start of the service, which loads the study and indexes its trials."""
    seconds: list[float] = []
    past = Past(num_trials, num_epochs=_LOADED_EPOCHS, has_rounds=True)
    with _study("coarse_to_fine", past, max_epochs=_LOADED_EPOCHS) as service:
        for _ in range(repeats):
            service.service.searches.forget(1)
            gc.collect()
            started = time.process_time()
            service.claim()
            seconds.append(time.process_time() - started)
    yield Row(f"first claim after a restart, {num_trials:,} trials × {_LOADED_EPOCHS}", seconds)


def _rows(arguments: argparse.Namespace) -> Iterator[Row]:
    for num_trials in arguments.trials:
        yield from _claims("coarse_to_fine", num_trials, arguments.repeats, _CLAIM_TARGETS_MS.get(num_trials))
    yield from _claims("tpe", _TRIALS, arguments.repeats, _TPE_TARGET_MS)
    for num_running in arguments.running:
        yield _reports(num_running, _TRIALS, 10 * arguments.repeats)
    yield from _loads(_TRIALS, _LOADS)
    yield from _restarts(_TRIALS, _LOADS)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=_numbers, default=[1_000, 10_000, 100_000], help="sizes of the studies")
    parser.add_argument("--running", type=_numbers, default=[1, 32, 128], help="trials that run side by side")
    parser.add_argument("--repeats", type=int, default=60, help="claims of each kind; ten times as many reports")
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    print(f"{'CPU ms':58s} {'median':>9s} {'95 %':>9s} {'count':>6s} {'target':>9s}")
    rows = []
    for row in _rows(arguments):
        row.show()
        rows.append(row)
    if arguments.json:
        arguments.json.write_text(json.dumps([vars(row) for row in rows]))


if __name__ == "__main__":
    main()
