"""Results: what other samplers than ours learn from a trial, finished or not."""

from __future__ import annotations

from typing import NamedTuple

from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import Metric
from service.search.mirror import TrialRecord
from service.search.rungs import is_failure, loss_of

_COMPLETE, _PARTIAL, _FAILED = range(3)


class Result(NamedTuple):
    """A trial's standing; of two, the lesser is the better.

    Attributes:
        rank: Complete trials stand before partial ones, those before failed ones.
        remaining: Minus the last epoch that a partial result rests on: who came further stands first; else 0.
        loss: Best value, its sign set so that lower is better; 0 of a failed one.
    """

    rank: int
    remaining: int
    loss: float

    @property
    def is_complete(self) -> bool:
        """Whether the trial was trained to its end."""
        return self.rank == _COMPLETE

    @property
    def is_failed(self) -> bool:
        """Whether the trial failed or diverged, which says that its configuration is bad, but not how bad."""
        return self.rank == _FAILED

    @property
    def epoch(self) -> int:
        """Last epoch that a partial result rests on."""
        return -self.remaining


def is_left_out(trial: TrialRecord) -> bool:
    """Whether a trial has no result for good: it was lost, ended before its first epoch, or does not fit the space."""
    if not trial.fits:
        return True
    is_unknown = trial.value is None or trial.stop_reason is StopReason.LOST
    return trial.state.is_finished and is_unknown and not is_failure(trial)


def result_of(trial: TrialRecord, metric: Metric) -> Result | None:
    """What is known of a trial; None while nothing is, or if it is left out.

    A paused trial has the result of its epochs so far. Once promoted it keeps that one until it pauses or ends, so what
    was learnt from it is not forgotten while it runs on.
    """
    if is_left_out(trial):
        return None
    if is_failure(trial):
        return Result(_FAILED, 0, 0.0)
    if trial.state is TrialState.COMPLETE and trial.value is not None:
        return Result(_COMPLETE, 0, loss_of(metric, trial.value))
    is_over = trial.state.is_finished or trial.state is TrialState.PAUSED
    last = max(trial.values, default=0) if is_over else trial.promoted_epoch
    losses = [(epoch, loss_of(metric, value)) for epoch, value in trial.values.items() if epoch <= last]
    if not losses:
        return None
    return Result(_PARTIAL, -max(epoch for epoch, _ in losses), min(loss for _, loss in losses))
