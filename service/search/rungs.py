"""Rungs: epochs at which trials of unlike length are compared.

Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning".
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Annotated

from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import Metric, StudySpec
from service.search.mirror import Index, Mirror, TrialRecord

_UNUSABLE = frozenset({StopReason.DIVERGED, StopReason.OUT_OF_MEMORY, StopReason.ERROR, StopReason.INFEASIBLE})


class RungOptions(Model):
    """Options of pruners that work by rungs.

    Attributes:
        min_resource: Epoch of the first rung.
        reduction_factor: Ratio of neighbouring rungs; about one trial of so many goes on at each.
    """

    min_resource: Annotated[int, Field(ge=1, le=1_000_000)] = 2
    reduction_factor: Annotated[int, Field(ge=2, le=1000)] = 4

    def epochs(self, max_epochs: int) -> tuple[int, ...]:
        """Epochs of the rungs, `min_resource * reduction_factor**k`, before the last epoch of a trial."""
        rungs = []
        epoch = self.min_resource
        while epoch < max_epochs:
            rungs.append(epoch)
            epoch *= self.reduction_factor
        return tuple(rungs)


def study_rungs(spec: StudySpec) -> tuple[int, ...]:
    """Epochs at which a study's trials are compared: its pruner's rungs, or the default ones for other pruners."""
    options = RungOptions.model_validate(spec.pruner.options) if spec.pruner.kind == "asha" else RungOptions()
    return options.epochs(spec.budget.max_epochs)


def loss_of(metric: Metric, value: float) -> float:
    """The value with its sign set so that lower is better."""
    return value if metric.direction == "minimize" else -value


def losses_at(trial: TrialRecord, rungs: tuple[int, ...], metric: Metric) -> list[float]:
    """Best loss of a trial up to each rung that it has reached, lowest rung first.

    A rung is reached with the first measured epoch at or after it.
    """
    losses: list[float] = []
    best = float("inf")
    for epoch in sorted(trial.values):
        best = min(best, loss_of(metric, trial.values[epoch]))
        while len(losses) < len(rungs) and rungs[len(losses)] <= epoch:
            losses.append(best)
    return losses


class RungIndex(Index):
    """Losses recorded at every rung, sorted.

    Attributes:
        rungs: Epochs of the rungs.
        recorded: Losses by rung, lowest rung first, each list rising.
        reached: Losses of each trial at the rungs it has reached.
    """

    def __init__(self, mirror: Mirror, rungs: tuple[int, ...]) -> None:
        super().__init__(mirror)
        self.rungs = rungs
        self.recorded: list[list[float]] = [[] for _ in rungs]
        self.reached: dict[int, list[float]] = {}

    def update(self, trial: TrialRecord) -> None:
        """Replace what is recorded of a trial."""
        old = self.reached.get(trial.number, [])
        new = losses_at(trial, self.rungs, self.mirror.metric)
        if new == old:
            return
        for losses, loss in zip(self.recorded, old, strict=False):
            del losses[bisect_left(losses, loss)]
        for losses, loss in zip(self.recorded, new, strict=False):
            insort(losses, loss)
        self.reached[trial.number] = new


class Ranking(Index):
    """Trials by what is known of them, best first: the highest rung reached, then the best loss up to it.

    A complete trial stands above all rungs. Running trials take part. Trials that failed or diverged are counted but
    never ranked; lost ones, and those that have not reached a rung, are neither.

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
        if trial.value is None or is_failure(trial) or trial.stop_reason is StopReason.LOST:
            return None
        if trial.state is TrialState.COMPLETE:
            return -len(self.rungs) - 1, loss_of(self.mirror.metric, trial.value), trial.number
        losses = losses_at(trial, self.rungs, self.mirror.metric)
        return (-len(losses), losses[-1], trial.number) if losses else None


def is_failure(trial: TrialRecord) -> bool:
    """Whether a trial ended in a way that speaks against its configuration."""
    return trial.state.is_finished and trial.stop_reason in _UNUSABLE
