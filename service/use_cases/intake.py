"""What reports of one transaction change, gathered so that few statements store it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from caviar.contract.errors import NotFound
from caviar.contract.messages import Measurement
from caviar.contract.states import Decision
from caviar.contract.study import Metric
from service.domain import rules
from service.store import improvements, measurements, standings, studies, trials
from service.store.standings import Standing, StudyStanding
from service.store.transaction import Transaction
from service.use_cases import access


class Intake:
    """Trials as they stand after the reports so far, ahead of the database until `store` is called.

    Whoever reads or changes their rows in another way calls `store` before, and `close` or `forget` after a change.
    """

    def __init__(self, tx: Transaction, trial_ids: Collection[int], *, until: datetime) -> None:
        """Read where trials stand.

        Args:
            tx: The transaction.
            trial_ids: Trials that reports are about.
            until: When leases run out that are renewed.
        """
        self._tx = tx
        self._trial_ids = trial_ids
        self._until = until
        self._standings: dict[int, Standing] | None = None
        self._measured: list[dict[str, Any]] = []
        self._gains: list[dict[str, Any]] = []
        self._changed: dict[int, Standing] = {}
        self._gained: dict[int, StudyStanding] = {}
        self._renewed: set[int] = set()

    def standing(self, trial_id: int) -> Standing:
        """Where a trial stands.

        Raises:
            NotFound: There is no such trial, or not for the one who acts (404).
        """
        if self._standings is None:
            self._standings = standings.read(self._tx, self._trial_ids)
        found = self._standings.get(trial_id)
        if found is None or not access.sees(self._tx, found.study.name):
            raise NotFound(trials.unknown(trial_id))
        return found

    def renew(self, trial: Standing) -> None:
        """Let the lease of a trial go on."""
        self._renewed.add(trial.id)

    def note(
        self,
        trial: Standing,
        item: Measurement,
        metric: Metric,
        *,
        decision: Decision | None,
        evidence: Mapping[str, Any] | None,
    ) -> None:
        """Take an epoch that was not reported before.

        Args:
            trial: The trial.
            item: The epoch.
            metric: What its study compares.
            decision: What was decided after it, if something was compared.
            evidence: What the decision rests on.
        """
        tx, value = self._tx, item.metrics[metric.name]
        row = {
            "trial_id": trial.id,
            "attempt": trial.attempt,
            "epoch": item.epoch,
            "value": value,
            "metrics": item.metrics,
            "elapsed_s": item.elapsed_s,
            "decision": decision,
            "evidence": evidence,
        }
        self._measured.append(row)
        trial.value, trial.best_epoch = rules.fold(metric, trial.value, trial.best_epoch, value, item.epoch)
        trial.num_epochs = max(trial.num_epochs, item.epoch)
        trial.elapsed_s = item.elapsed_s
        if item.checkpoint:
            trial.checkpoint_epoch = item.epoch
        self._changed[trial.id] = trial
        if trial.study.best_value is None or metric.better(value, trial.study.best_value):
            self._gain(trial, item.epoch, value)
        tx.spend(trial.study.id, 1)
        tx.reported[trial.id][item.epoch] = value
        told = {"trial_id": trial.id, "number": trial.number, "attempt": trial.attempt}
        tx.emit(trial.study.id, "measured", **told, epoch=item.epoch, value=value)

    def _gain(self, trial: Standing, epoch: int, value: float) -> None:
        study = trial.study
        study.best_value, study.best_trial_id = value, trial.id
        self._gained[study.id] = study
        row = {
            "study_id": study.id,
            "num_epochs": study.num_epochs + self._tx.spent(study.id) + 1,
            "trial_id": trial.id,
            "number": trial.number,
            "attempt": trial.attempt,
            "epoch": epoch,
            "value": value,
        }
        self._gains.append(row)

    def store(self) -> None:
        """Write what was taken so far."""
        tx = self._tx
        tx.send_together()
        measurements.add(tx, self._measured)
        standings.write(tx, list(self._changed.values()), renewed=self._renewed, until=self._until)
        for study in self._gained.values():
            studies.gained(tx, study.id, study.best_trial_id, study.best_value)
        improvements.add(tx, self._gains)
        for taken in (self._measured, self._changed, self._renewed, self._gained, self._gains):
            taken.clear()

    @staticmethod
    def close(trial: Standing) -> None:
        """Note that the attempt of a trial was ended, and its lease taken back."""
        trial.token = None

    def forget(self) -> None:
        """Read anew where trials stand, the next time that somebody asks."""
        self._standings = None
