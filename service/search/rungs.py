"""Rungs: epochs at which trials of unlike length are compared.

Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated

from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import Metric, StudySpec
from service.search.draws import derive
from service.search.mirror import Index, Mirror, TrialRecord

_UNUSABLE = frozenset({StopReason.DIVERGED, StopReason.OUT_OF_MEMORY, StopReason.ERROR, StopReason.INFEASIBLE})


class RungOptions(Model):
    """Options of pruners that work by rungs.

    Attributes:
        min_resource: Epoch of the first rung.
        reduction_factor: Ratio of neighbouring rungs; about one trial of so many goes on at each.
        promote: Whether trials pause at a rung and go on once they are among the best; else those that are not are
            stopped there for good.
    """

    min_resource: Annotated[int, Field(ge=1, le=1_000_000)] = 2
    reduction_factor: Annotated[int, Field(ge=2, le=1000)] = 4
    promote: bool = True

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
    options = RungOptions()
    if spec.pruner.kind in ("asha", "hyperband"):
        own = {name: value for name, value in spec.pruner.options.items() if name in RungOptions.model_fields}
        options = RungOptions.model_validate(own)
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


Entry = tuple[float, int]
"""A loss and the number of its trial: of equal losses the earlier trial stands first."""


@dataclass(frozen=True)
class Ladder:
    """Rungs that some of a study's trials climb.

    Attributes:
        rungs: Epochs of the rungs, rising.
        bracket: Which of the study's brackets climbs them.
        shares: How many of `sum(shares)` trials go to each bracket.
        seed: Decides which trial goes where.
    """

    rungs: tuple[int, ...]
    bracket: int = 0
    shares: tuple[int, ...] = (1,)
    seed: int = 0

    def holds(self, number: int) -> bool:
        """Whether a trial climbs this ladder."""
        return len(self.shares) == 1 or bracket_of(self.seed, self.shares, number) == self.bracket


def bracket_of(seed: int, shares: Sequence[int], number: int) -> int:
    """The bracket that a trial belongs to, whatever the other trials do."""
    place = derive(seed, number, "bracket") % sum(shares)
    return bisect_right(list(accumulate(shares)), place)


class RungIndex(Index):
    """Losses recorded at every rung of a ladder, sorted, and who is paused there.

    Attributes:
        ladder: The rungs, and who climbs them.
        recorded: By rung, lowest rung first: the losses of all that have reached it, best first.
        paused: By rung: those of them that wait there to be promoted.
        num_beyond: By rung: how many have gone on from it, promoted or without a pause.
        reached: Losses of each trial at the rungs it has reached.
    """

    def __init__(self, mirror: Mirror, ladder: Ladder) -> None:
        super().__init__(mirror)
        self.ladder = ladder
        self.recorded: list[list[Entry]] = [[] for _ in ladder.rungs]
        self.paused: list[list[Entry]] = [[] for _ in ladder.rungs]
        self.num_beyond = [0 for _ in ladder.rungs]
        self.reached: dict[int, list[float]] = {}
        self._left: dict[int, int] = {}
        self._waiting: dict[int, int] = {}

    def update(self, trial: TrialRecord) -> None:
        """Replace what is recorded of a trial."""
        if not self.ladder.holds(trial.number):
            return
        old, new = self.reached.get(trial.number, []), losses_at(trial, self.ladder.rungs, self.mirror.metric)
        waiting = self._waiting.pop(trial.number, None)
        if waiting is not None:
            _remove(self.paused[waiting], (old[waiting], trial.number))
        if new != old:
            for entries, loss in zip(self.recorded, old, strict=False):
                _remove(entries, (loss, trial.number))
            for entries, loss in zip(self.recorded, new, strict=False):
                insort(entries, (loss, trial.number))
            self.reached[trial.number] = new
        if trial.state is TrialState.PAUSED and new:
            self._waiting[trial.number] = len(new) - 1
            insort(self.paused[len(new) - 1], (new[-1], trial.number))
        self._count_beyond(trial)

    def _count_beyond(self, trial: TrialRecord) -> None:
        rungs, last = self.ladder.rungs, max(trial.values, default=0)
        # A promoted trial whose checkpoint was lost begins anew, but it has gone on.
        after = max(bisect_right(rungs, trial.promoted_epoch), bisect_left(rungs, last))
        before = self._left.get(trial.number, 0)
        for level in range(min(before, after), max(before, after)):
            self.num_beyond[level] += 1 if after > before else -1
        self._left[trial.number] = after


def _remove(entries: list[Entry], entry: Entry) -> None:
    del entries[bisect_left(entries, entry)]


def is_failure(trial: TrialRecord) -> bool:
    """Whether a trial ended in a way that speaks against its configuration."""
    return trial.state.is_finished and trial.stop_reason in _UNUSABLE
