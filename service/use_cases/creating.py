"""Storing new trials, proposed or made by hand, and new rounds."""

from __future__ import annotations

from typing import Any

from caviar.contract.views import RoundView
from service.store import rounds, studies, trials
from service.store.transaction import Record, Transaction


def create_trial(
    tx: Transaction,
    study: Record,
    params: dict[str, Any],
    *,
    origin: str,
    round_number: int | None = None,
    as_of: int | None = None,
) -> Record:
    """Store a waiting trial under the next number of its study.

    Args:
        study: Its row, locked.
        params: The configuration.
        origin: `sampler` or `enqueued`.
        round_number: Round of the strategy that proposed it.
        as_of: The last event of the study that the proposal was conditioned on.
    Returns:
        As `trials.add`.
    """
    number = study.num_trials
    trial = trials.add(
        tx,
        study_id=study.id,
        number=number,
        params=params,
        origin=origin,
        round_number=round_number,
        space_version=study.space_version,
        as_of_seq=as_of,
    )
    tx.send_together()
    studies.count_trial(tx, study.id)
    tx.emit(
        study.id,
        "trial_created",
        trial_id=trial.id,
        number=number,
        params=params,
        origin=origin,
        round=round_number,
        as_of=as_of,
    )
    return trial


def open_round(tx: Transaction, study_id: int, opened: RoundView) -> None:
    """Store a new round of the strategy."""
    row = opened.model_copy(update={"opened_at": tx.now}).model_dump(mode="json", exclude={"num_epochs"})
    rounds.add(tx, study_id, row)
    tx.emit(study_id, "round_opened", **row)
