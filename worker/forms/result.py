"""How a training ended."""

from __future__ import annotations

from dataclasses import dataclass

from caviar.contract.messages import TrainingError
from caviar.contract.states import Outcome


@dataclass(frozen=True)
class Result:
    """How a training ended.

    Attributes:
        outcome: None if it was asked to stop, or could not go on from its checkpoint.
        error: What went wrong, unless the outcome is `complete` or None.
        missing_checkpoint: Why it could not go on from its checkpoint.
    """

    outcome: Outcome | None
    error: TrainingError | None = None
    missing_checkpoint: str | None = None
