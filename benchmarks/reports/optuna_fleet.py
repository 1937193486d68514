"""Optuna under a crowd of workers: its storages, as its documentation tells to share a study among processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import event

from benchmarks.reports.crowd import NUM_EPOCHS, NUM_PARAMS, loss

_STUDY = "throughput"
_SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    f"x{at}": optuna.distributions.FloatDistribution(0.0, 1.0) for at in range(NUM_PARAMS)
}


def storage(address: str) -> BaseStorage:
    """A storage: of a database, or of a journal file for `journal:path`."""
    kind, _, path = address.partition(":")
    return JournalStorage(JournalFileBackend(path)) if kind == "journal" else RDBStorage(address)


def prepare(address: str, num_old: int) -> None:
    """Make a storage that holds the study, with complete trials of all epochs behind it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = storage(address)
    if isinstance(made, RDBStorage):
        event.listen(made.engine, "connect", _hasten)
        made.engine.dispose()
    study = optuna.create_study(storage=made, study_name=_STUDY)
    for number in range(num_old):
        values = {epoch: loss(epoch, number * 0.618 % 1) for epoch in range(1, NUM_EPOCHS + 1)}
        params: dict[str, Any] = dict.fromkeys(_SPACE, number * 0.618 % 1)
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=_SPACE, intermediate_values=values, value=min(values.values())
            )
        )
    if isinstance(made, RDBStorage):
        made.engine.dispose()


def _hasten(connection: Any, _record: object) -> None:
    # Only the past is written without waiting for the disk; the processes that are measured open their own connections.
    cursor = connection.cursor()
    is_sqlite = type(connection).__module__.startswith("sqlite3")
    cursor.execute("PRAGMA synchronous=OFF" if is_sqlite else "SET synchronous_commit TO off")
    cursor.close()
    if not is_sqlite:
        connection.commit()


class OptunaWorker:
    """A process that asks, reports and tells."""

    def __init__(self, address: str) -> None:
        """Load the study."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.load_study(
            storage=storage(address),
            study_name=_STUDY,
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.MedianPruner(),
        )

    def trials(self) -> Iterator[Callable[[int, float], bool]]:
        """One trial after the other."""
        while True:
            trial = self._study.ask(_SPACE)
            last = 0.0
            is_pruned = False

            def report(epoch: int, loss: float, trial: optuna.Trial = trial) -> bool:
                nonlocal last, is_pruned
                trial.report(loss, epoch)
                last, is_pruned = loss, trial.should_prune()
                return not is_pruned

            yield report
            state = optuna.trial.TrialState.PRUNED if is_pruned else optuna.trial.TrialState.COMPLETE
            self._study.tell(trial, None if is_pruned else last, state=state)
