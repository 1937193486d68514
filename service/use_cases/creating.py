"""Storing new trials, proposed or made by hand."""

from __future__ import annotations

from typing import Any

from service.store import studies, trials
from service.store.transaction import Transaction


def create_trial(
    tx: Transaction, study_id: int, number: int, params: dict[str, Any], *, origin: str, round_number: int | None
) -> int:
    """Store a waiting trial under the next number of its study, and return its id."""
    trial_id = trials.add(tx, study_id=study_id, number=number, params=params, origin=origin, round_number=round_number)
    studies.count_trial(tx, study_id)
    tx.emit(
        study_id,
        "trial_created",
        trial_id=trial_id,
        number=number,
        params=params,
        origin=origin,
        round=round_number,
    )
    return trial_id
