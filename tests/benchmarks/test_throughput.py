"""The comparison of throughput: who reports what, and what is counted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.reports import caviar_fleet, optuna_fleet
from benchmarks.reports.crowd import NUM_EPOCHS, Worker, loss, measure
from benchmarks.serving import serving


def _goes_on(number: int, epoch: int, _loss: float) -> bool:
    return number % 3 > 0 or epoch < 5


class _Counting:
    """Reports to nobody, and ends every third trial early."""

    def trials(self) -> Iterator[Callable[[int, float], bool]]:
        number = 0
        while True:
            number += 1
            yield functools.partial(_goes_on, number)


def test_a_crowd_counts_what_all_its_processes_report() -> None:
    figures = measure(_Counting, 2, 0.2)
    assert figures.rate > 0
    assert 0 <= figures.p50_s <= figures.p99_s < 0.2
    assert figures.num_trials >= 2


class _Broken:
    def trials(self) -> Iterator[Callable[[int, float], bool]]:
        raise ConnectionError("nobody there")


def test_a_process_that_fails_fails_the_measurement() -> None:
    with pytest.raises(RuntimeError, match="nobody there"):
        measure(_Broken, 1, 0.1)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_the_peer_reports_to_its_storage(kind: str, tmp_path: Path) -> None:
    address = f"journal:{tmp_path / 'log'}" if kind == "journal" else f"sqlite:///{tmp_path / 'db'}"
    optuna_fleet.prepare(address, 3)
    assert _reported(optuna_fleet.OptunaWorker(address)) == [NUM_EPOCHS] * 2


def test_ours_reports_to_a_service(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'caviar.db'}"
    caviar_fleet.prepare(url, 3)
    with (
        serving(tmp_path, CAVIAR_DATABASE_URL=url) as (origin, _),
        closing(caviar_fleet.CaviarWorker(origin)) as worker,
    ):
        assert _reported(worker) == [NUM_EPOCHS] * 2


def _reported(worker: Worker) -> list[int]:
    """Epochs that each of the first two trials is told to go on after."""
    trials = worker.trials()
    counted = []
    for at in range(2):
        report = next(trials)
        counted.append(sum(report(epoch, loss(epoch, 0.01 * at)) for epoch in range(1, NUM_EPOCHS + 1)))
    return counted


def test_losses_fall_to_a_level_of_each_trial() -> None:
    assert loss(1) > loss(2) > loss(20)
    assert loss(20, 0.5) - loss(20) == pytest.approx(0.5)
