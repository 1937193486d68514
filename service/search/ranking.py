"""The order of trials of unlike length."""

from __future__ import annotations

from bisect import bisect_left, insort

from caviar.contract.states import StopReason, TrialState
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.rungs import is_failure, loss_of, losses_at


class Ranking(Index):
    """Trials by what is known of them, best first: the highest rung reached, then the best loss up to it.

    A complete trial stands above all rungs. Running and paused trials take part. Trials that failed or diverged are
    counted but never ranked; lost ones, those that have not reached a rung, and those that do not fit the space are
    neither.

    Attributes:
        rungs: Epochs of the rungs.
        failures: Numbers of the trials that failed or diverged.
        order: `(-rungs reached, loss, number)` of every ranked trial, rising.
    """

    def __init__(self, mirror: Mirror, rungs: tuple[int, ...]) -> None:
        super().__init__(mirror)
        self.rungs = rungs
        self.failures: set[int] = set()
        self.order: list[tuple[int, float, int]] = []
        self._keys: dict[int, tuple[int, float, int]] = {}

    @property
    def num_results(self) -> int:
        """Trials of which something is known."""
        return len(self.order) + len(self.failures)

    def best(self, count: int) -> list[int]:
        """Numbers of the best trials."""
        return [number for _, _, number in self.order[:count]]

    def update(self, trial: TrialRecord) -> None:
        """Put a trial where it belongs now."""
        old, new = self._keys.pop(trial.number, None), self._key(trial)
        if old is not None:
            del self.order[bisect_left(self.order, old)]
        if new is not None:
            insort(self.order, new)
            self._keys[trial.number] = new
        self.failures.discard(trial.number)
        if is_failure(trial):
            self.failures.add(trial.number)

    def _key(self, trial: TrialRecord) -> tuple[int, float, int] | None:
        if trial.value is None or not trial.fits or is_failure(trial) or trial.stop_reason is StopReason.LOST:
            return None
        if trial.state is TrialState.COMPLETE:
            return -len(self.rungs) - 1, loss_of(self.mirror.metric, trial.value), trial.number
        losses = losses_at(trial, self.rungs, self.mirror.metric)
        return (-len(losses), losses[-1], trial.number) if losses else None
