"""How well strategies search: ours, through the service's own code, and Optuna's, on simulated learning curves.

A simulator, which is not part of this repository, plays workers that train real learning curves in virtual time. It
asks for work, tells every epoch, and is answered `continue`, `pause` or `stop`. Our strategies answer through the use
cases of the service on a database in memory, Optuna's as the simulator drives them. The score is the normalised regret
of the best value seen so far: 0 is the best of many random configurations of the task, 1 the median of them.

    python benchmarks/search_quality.py --simulator FOLDER [--judgement] [--only caviar:tpe,optuna:tpe] [--seeds 4]
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import multiprocessing
import statistics
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.search.simulator import CaviarSearcher, Scales, load
from service.search.registry import PRUNERS, SAMPLERS

OURS: dict[str, dict[str, Any]] = {
    name: {"strategy": {"kind": strategy}, "pruner": {"kind": pruner}}
    for name, strategy, pruner in (
        ("coarse_to_fine+asha", "coarse_to_fine", "asha"),
        ("coarse_to_fine+hyperband", "coarse_to_fine", "hyperband"),
        ("auto+asha", "auto", "asha"),
        ("random+asha", "random", "asha"),
        ("tpe+asha", "tpe", "asha"),
        ("tpe", "tpe", "none"),
        ("cma_es+asha", "cma_es", "asha"),
        ("gp+asha", "gp", "asha"),
        ("gp", "gp", "none"),
    )
    if strategy in SAMPLERS and pruner in PRUNERS
}
# What strategies need beyond the benchmarks' own packages.
_NEEDS = {"cma_es": "cmaes", "gp": "torch"}
_MARKS = (8, 4, 2, 1)


@dataclass(frozen=True)
class Job:
    """One strategy on one task with one seed.

    Attributes:
        system: `caviar` or `optuna`.
        strategy: Name of the strategy within the system.
        variant: Fields of the study body, for our strategies.
        task: Of the simulator.
        seed: Of the search.
        workers: Simulated ones, side by side.
        budget: Epochs of all trials together.
    """

    system: str
    strategy: str
    variant: dict[str, Any] | None
    task: str
    seed: int
    workers: int
    budget: int


@dataclass
class Run:
    """What came of a job.

    Attributes:
        trace: Epochs spent and best value so far, one entry per improvement.
        claims_s: CPU seconds of each claim, all threads of the process together.
        reports_s: CPU seconds of each report.
    """

    trace: list[tuple[int, float]] = field(default_factory=list)
    claims_s: list[float] = field(default_factory=list)
    reports_s: list[float] = field(default_factory=list)


class _Timed:
    """A searcher whose answers are timed."""

    def __init__(self, searcher: Any, run: Run) -> None:
        self._searcher, self._run = searcher, run

    def claim(self) -> Any:
        started = time.process_time()
        assignment = self._searcher.claim()
        self._run.claims_s.append(time.process_time() - started)
        return assignment

    def report(self, key: object, epoch: int, value: float) -> Any:
        started = time.process_time()
        decision = self._searcher.report(key, epoch, value)
        self._run.reports_s.append(time.process_time() - started)
        return decision

    def finish(self, key: object, best: float) -> None:
        self._searcher.finish(key, best)


@functools.cache
def _simulator(folder: Path) -> tuple[Any, Any]:
    import optuna

    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    simulator = load(folder)
    return simulator, simulator.LCBench(folder)


def _scale(folder: Path, task: str) -> tuple[float, float]:
    scale: tuple[float, float] = _simulator(folder)[1].scale(task)
    return scale


def _train(folder: Path, job: Job) -> Run:
    simulator, bench = _simulator(folder)
    context: AbstractContextManager[Any]
    if job.variant is None:
        context = nullcontext(simulator.optuna_strategies()[job.strategy](job.seed))
    else:
        context = CaviarSearcher(simulator, job.variant, seed=job.seed, budget=job.budget)
    run = Run()
    with context as searcher:
        run.trace = simulator.simulate(bench, job.task, _Timed(searcher, run), job.workers, job.budget)
        if isinstance(searcher, CaviarSearcher):
            searcher.check()
    return run


def _chosen(simulator: Any, only: str | None, variants: list[str]) -> dict[str, dict[str, Any] | None]:
    known: dict[str, dict[str, Any] | None] = {f"caviar:{name}": body for name, body in OURS.items()}
    for text in variants:
        name, _, body = text.partition("=")
        known[f"caviar:{name}"] = json.loads(body)
    for name in simulator.optuna_strategies():
        known[f"optuna:{name}"] = None
    names = list(known) if only is None else only.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"received the strategies {', '.join(unknown)}, expected some of {', '.join(known)}")
    chosen = {}
    for name in names:
        package = _NEEDS.get(name.partition(":")[2].partition("+")[0])
        if package is not None and importlib.util.find_spec(package) is None:
            print(f"{name}: left out, because the package {package} is not installed")
        else:
            chosen[name] = known[name]
    return chosen


def _tasks(simulator: Any, bench: Any, arguments: argparse.Namespace) -> list[str]:
    if arguments.tasks:
        return list(arguments.tasks.split(","))
    if arguments.judgement:
        return [task for task in bench.tasks if task not in simulator.DEVELOPMENT_TASKS]
    return list(simulator.DEVELOPMENT_TASKS)


def _row(name: str, regrets: list[list[float]], runs: list[Run]) -> dict[str, Any]:
    columns = list(zip(*regrets, strict=True))
    return {
        "mean": [statistics.fmean(column) for column in columns],
        "median": [statistics.median(column) for column in columns],
        # Of means by run the median: the first run of a process also imports.
        "claim_ms": 1000 * statistics.median(statistics.fmean(run.claims_s) for run in runs),
        "report_ms": 1000 * statistics.median(statistics.fmean(run.reports_s) for run in runs),
        "regret": regrets,
        "name": name,
    }


def _print(row: dict[str, Any]) -> None:
    mean, median = (" ".join(f"{value:7.3f}" for value in row[key]) for key in ("mean", "median"))
    print(f"{row['name']:32s} {mean}   {median}   {row['claim_ms']:8.2f} {row['report_ms']:8.3f}", flush=True)


def _print_best(rows: dict[str, dict[str, Any]]) -> None:
    """Print, at each mark, the best of our strategies and of Optuna's, and which it is."""
    for system in ("caviar", "optuna"):
        names = [name for name in rows if name.startswith(f"{system}:")]
        if names:
            best = [min((rows[name]["mean"][mark], name) for name in names) for mark in range(len(_MARKS))]
            print(f"best of {system}: " + ", ".join(f"{value:.3f} {name}" for value, name in best))


def _scales(pool: ProcessPoolExecutor, folder: Path, tasks: list[str]) -> dict[str, tuple[float, float]]:
    scales = Scales(folder)
    missing = {task: pool.submit(_scale, folder, task) for task in tasks if task not in scales.known}
    if missing:
        print(f"scaling {len(missing)} tasks, about ten seconds each; kept for the next run", flush=True)
    for task, future in missing.items():
        scales.add(task, future.result())
    return scales.known


def _jobs(name: str, variant: dict[str, Any] | None, tasks: list[str], arguments: argparse.Namespace) -> list[Job]:
    system, _, strategy = name.partition(":")
    return [
        Job(system, strategy, variant, task, seed, arguments.workers, arguments.budget)
        for task in tasks
        for seed in range(arguments.seeds)
    ]


def _compare(arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> dict[str, Any]:
    folder = arguments.simulator.resolve()
    simulator, bench = _simulator(folder)
    tasks = _tasks(simulator, bench, arguments)
    chosen = _chosen(simulator, arguments.only, arguments.variant)
    marks = [arguments.budget // share for share in _MARKS]
    scales = _scales(pool, folder, tasks)
    jobs = {name: _jobs(name, variant, tasks, arguments) for name, variant in chosen.items()}
    futures = {name: [pool.submit(_train, folder, job) for job in queue] for name, queue in jobs.items()}
    print(
        f"{len(tasks)} tasks × {arguments.seeds} seeds, {arguments.workers} workers, {arguments.budget} epochs\n"
        f"{'':32s} {'mean regret at 1/8, 1/4, 1/2, 1':31s}   {'median':31s}   {'CPU ms':>8s}\n"
        f"{'strategy':32s} {'':31s}   {'':31s}   {'claim':>8s} {'report':>8s}",
        flush=True,
    )
    rows = {}
    for name, queue in jobs.items():
        runs = [future.result() for future in futures.pop(name)]
        regrets = [
            [simulator.regret_at(run.trace, mark, scales[job.task]) for mark in marks]
            for job, run in zip(queue, runs, strict=True)
        ]
        rows[name] = _row(name, regrets, runs) | {"runs": [asdict(job) for job in queue]}
        _print(rows[name])
    _print_best(rows)
    options = {name: getattr(arguments, name) for name in ("seeds", "workers", "budget")}
    return options | {"tasks": tasks, "strategies": rows}


def main() -> None:
    """Compare the strategies and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulator", type=Path, required=True, metavar="FOLDER", help="holds the simulator")
    parser.add_argument("--only", help="strategies by comma, such as caviar:tpe,optuna:tpe+asha")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help='another strategy of ours: \'wide={"strategy": {"kind": …}, "pruner": {"kind": …}}\'',
    )
    parser.add_argument("--tasks", help="tasks by comma (default: the simulator's development tasks)")
    parser.add_argument("--judgement", action="store_true", help="all tasks but the development ones")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=8, help="simulated workers, side by side")
    parser.add_argument("--budget", type=int, default=52 * 40, help="epochs of all trials of a run together")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time, each in a process of its own")
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    pool = ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn"))
    try:
        result = _compare(arguments, pool)
    finally:
        pool.shutdown(cancel_futures=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
