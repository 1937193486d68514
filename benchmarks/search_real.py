"""Real Keras trainings on scikit-learn's digits: Caviar against KerasTuner's Hyperband and Optuna, same epochs.

All systems search the same space by the same training function, one trial at a time. For each seed, KerasTuner's
Hyperband makes one pass over its brackets; every epoch that it really trains is counted, and so many epochs the others
get. The figure is how many epochs coarse to fine needs to come to the best validation loss of Hyperband, as a share of
Hyperband's epochs, the median over seeds. Caviar is the service's own code, in this process and without HTTP.

    python benchmarks/search_real.py [--seeds 5] [--epochs 30] [--jobs 2]
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.search.systems import SYSTEMS, Diary

_REFERENCE = "keras_tuner:hyperband"
_OURS = "caviar:coarse_to_fine+asha"
_TARGET = 0.5
_MARKS = (8, 4, 2, 1)


def _search(name: str, seed: int, max_epochs: int, budget: int | None) -> Diary:
    from benchmarks.search.digits import Training

    diary = Diary(budget)
    SYSTEMS[name](Training(), diary, max_epochs, seed)
    return diary


def _run(arguments: argparse.Namespace, names: list[str], pool: ProcessPoolExecutor) -> list[dict[str, Diary]]:
    """What each system did with each seed; the reference goes first and sets the epochs of the others."""
    others = [name for name in names if name != _REFERENCE]
    seeds = range(arguments.seeds)
    references = [pool.submit(_search, _REFERENCE, seed, arguments.epochs, None) for seed in seeds]
    pending: list[dict[str, Future[Diary]]] = []
    for seed, reference in enumerate(references):
        budget = len(reference.result().bests)
        rivals = {name: pool.submit(_search, name, seed, arguments.epochs, budget) for name in others}
        pending.append({_REFERENCE: reference, **rivals})
    runs = []
    for seed, futures in enumerate(pending):
        runs.append({name: future.result() for name, future in futures.items()})
        _show_seed(seed, runs[-1])
    return runs


def _share(diaries: dict[str, Diary], name: str) -> float:
    """Epochs that a system needs to come to the best loss of the reference, as a share of the reference's epochs."""
    reference = diaries[_REFERENCE]
    return diaries[name].epochs_to(reference.bests[-1]) / len(reference.bests)


def _show_seed(seed: int, diaries: dict[str, Diary]) -> None:
    for name, diary in diaries.items():
        budget = len(diary.bests)
        curve = " ".join(f"{diary.bests[max(1, budget // share) - 1]:8.4f}" for share in _MARKS)
        share = _share(diaries, name)
        needed = "never" if math.isinf(share) else f"{share:.2f}"
        print(f"{seed:4d}  {name:28s} {budget:6d} {diary.num_trials:6d}  {curve}  {needed:>9s}", flush=True)


def _sum_up(runs: list[dict[str, Diary]], names: list[str]) -> dict[str, float]:
    medians = {name: statistics.median(_share(diaries, name) for diaries in runs) for name in names}
    print(f"\nepochs to Hyperband's best, as a share of Hyperband's, median over {len(runs)} seeds")
    for name, value in medians.items():
        print(f"  {name:28s} {'never' if math.isinf(value) else f'{value:5.2f}'}")
    if _OURS in medians:
        verdict = "met" if medians[_OURS] <= _TARGET else "MISSED"
        print(f"target for {_OURS}: at most {_TARGET:.2f}: {verdict}")
    return medians


def _names(only: str | None) -> list[str]:
    names = list(SYSTEMS) if only is None else only.split(",")
    unknown = [name for name in names if name not in SYSTEMS]
    if unknown:
        sys.exit(f"received the systems {', '.join(unknown)}, expected some of {', '.join(SYSTEMS)}")
    return [_REFERENCE, *(name for name in names if name != _REFERENCE)]


def main() -> None:
    """Run all systems with all seeds, print what they did and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30, help="epochs of one trial")
    parser.add_argument("--only", help=f"systems by comma; {_REFERENCE} always takes part")
    parser.add_argument("--jobs", type=int, default=1, help="searches at the same time")
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    names = _names(arguments.only)
    # Before TensorFlow is loaded: it would announce itself among the figures.
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
    started = time.monotonic()
    print(f"{'':45s}  {'best val_loss at 1/8, 1/4, 1/2, 1':35s}  {'to best':>9s}")
    print(f"{'seed':4s}  {'system':28s} {'epochs':>6s} {'trials':>6s}  {'':35s}  {'of KT':>9s}", flush=True)
    # TensorFlow does not give back the memory of models that are gone: each search gets a process of its own.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(arguments.jobs, context, max_tasks_per_child=1)
    try:
        runs = _run(arguments, names, pool)
    finally:
        pool.shutdown(cancel_futures=True)
    medians = _sum_up(runs, names)
    print(f"{time.monotonic() - started:.0f} s")
    if arguments.json:
        told = {name: None if math.isinf(value) else value for name, value in medians.items()}
        result: dict[str, Any] = {"medians": told, "runs": [{n: asdict(d) for n, d in run.items()} for run in runs]}
        arguments.json.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
