"""Many worker processes at a time, each in a loop of trials whose epochs are reported one by one."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Protocol

NUM_EPOCHS = 20
NUM_PARAMS = 5
_START_S = 300.0
_WARM_UP_S = 2.0


class Worker(Protocol):
    """One process of a system under test."""

    def trials(self) -> Iterator[Callable[[int, float], bool]]:
        """One trial after the other, each as a function of an epoch and its loss that tells whether it goes on.

        The function returns once the report is stored. When the iterator is asked for the next trial, the last one is
        to be ended.
        """


Joining = Callable[[], Worker]
"""Makes the worker of a process that has just been forked."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a crowd has done.

    Attributes:
        rate: Reports a second, of all processes together.
        p50_s: Median of the seconds that a report took.
        p99_s: 99 % of the reports took less.
        num_trials: Trials that were begun.
    """

    rate: float
    p50_s: float
    p99_s: float
    num_trials: int


def loss(epoch: int, level: float = 0.0) -> float:
    """A curve that falls to a level: 0 for the trials of a crowd, so that no pruner ends any of them early."""
    return level + 1 / epoch


def measure(join: Joining, num_processes: int, seconds: float) -> Figures:
    """Let processes work side by side for a while.

    Args:
        join: Called in each process.
        num_processes: How many.
        seconds: How long reports are counted, after a warm-up.
    Raises:
        RuntimeError: A process failed.
    """
    # Forked, so that the imports of thirty-two processes cost as much as those of one.
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(num_processes + 1)
    answers = context.SimpleQueue()
    processes = [context.Process(target=_work, args=(join, barrier, answers, seconds)) for _ in range(num_processes)]
    for process in processes:
        process.start()
    with contextlib.suppress(BrokenBarrierError):  # What broke it is told by the process that did.
        barrier.wait(_START_S)
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    failed = [one for one in found if isinstance(one, str)]
    if failed:
        raise RuntimeError(f"{len(failed)} of {num_processes} processes failed, the first one by {failed[0]}")
    latencies = sorted(latency for _, own in found for latency in own)
    return Figures(
        rate=len(latencies) / seconds,
        p50_s=statistics.median(latencies),
        p99_s=latencies[math.ceil(0.99 * len(latencies)) - 1],
        num_trials=sum(num_trials for num_trials, _ in found),
    )


def _work(
    join: Joining,
    barrier: Barrier,
    answers: multiprocessing.SimpleQueue[tuple[int, list[float]] | str],
    seconds: float,
) -> None:
    try:
        worker = join()
        barrier.wait(_START_S)
        answers.put(_train(worker, seconds))
    except Exception as error:  # noqa: BLE001  # Whatever it is, the benchmark must hear of it.
        barrier.abort()
        answers.put(repr(error))


def _train(worker: Worker, seconds: float) -> tuple[int, list[float]]:
    first, latencies = time.monotonic() + _WARM_UP_S, list[float]()
    last = first + seconds
    for number, report in enumerate(worker.trials()):
        for epoch in range(1, NUM_EPOCHS + 1):
            begun = time.monotonic()
            goes_on = report(epoch, loss(epoch))
            ended = time.monotonic()
            if ended >= last:
                return number + 1, latencies
            if ended >= first:
                latencies.append(ended - begun)
            if not goes_on:
                break
    raise RuntimeError("the system had no more trials to hand out")
