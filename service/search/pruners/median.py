"""The median stopping rule."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.states import Decision, TrialState
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.pruner import GO_ON, Verdict
from service.search.rungs import loss_of

Count = Annotated[int, Field(ge=0, le=1_000_000)]
PositiveCount = Annotated[int, Field(ge=1, le=1_000_000)]


class CompleteIndex(Index):
    """Values of complete trials by epoch.

    Attributes:
        complete: Curves of the complete trials, by number.
        at_epoch: Their values at each epoch, rising.
    """

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(mirror)
        self.complete: dict[int, dict[int, float]] = {}
        self.at_epoch: dict[int, list[float]] = {}

    def update(self, trial: TrialRecord) -> None:
        """Take in a curve that is complete, or take one out that is no longer."""
        for epoch, value in self.complete.pop(trial.number, {}).items():
            values = self.at_epoch[epoch]
            del values[bisect_left(values, value)]
        if trial.state is TrialState.COMPLETE:
            self.complete[trial.number] = dict(trial.values)
            for epoch, value in trial.values.items():
                insort(self.at_epoch.setdefault(epoch, []), value)


class MedianPruner:
    """Stops a trial whose best value so far is worse than the median of complete trials at the same epoch.

    Decides as Optuna's `MedianPruner` does, from sorted values that are kept up epoch by epoch.

    Source: Golovin et al. 2017, "Google Vizier: A Service for Black-Box Optimization".
    """

    kind: ClassVar[str] = "median"

    class Options(Model):
        """Options, named as Optuna's.

        Attributes:
            n_startup_trials: Complete trials before which nothing is pruned.
            n_warmup_steps: Epochs before which nothing is pruned.
            interval_steps: Epochs between two checks.
            n_min_trials: Complete trials that must have a value at the epoch.
        """

        n_startup_trials: Count = 5
        n_warmup_steps: Count = 0
        interval_steps: PositiveCount = 1
        n_min_trials: PositiveCount = 1

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Compare the trial's best value so far with the median, if a check is due."""
        if epoch < self.options.n_warmup_steps or not self._is_due(epoch, values):
            return GO_ON
        index = mirror.index(CompleteIndex)
        peers = index.at_epoch.get(epoch, [])
        if not peers or len(index.complete) < self.options.n_startup_trials or len(peers) < self.options.n_min_trials:
            return GO_ON
        own = min(loss_of(mirror.metric, value) for value in values.values())
        value, threshold = loss_of(mirror.metric, own), median(peers)
        return Verdict(
            Decision.STOP if mirror.metric.better(threshold, value) else Decision.CONTINUE,
            {"rule": self.kind, "epoch": epoch, "value": value, "threshold": threshold, "peers": len(peers)},
        )

    def _is_due(self, epoch: int, values: Mapping[int, float]) -> bool:
        # A check that fell on an epoch without a value is made up for at the next one.
        warmup, interval = self.options.n_warmup_steps, self.options.interval_steps
        due = (epoch - warmup) // interval * interval + warmup
        return max((other for other in values if other != epoch), default=-1) < due


def median(rising: Sequence[float]) -> float:
    """The median of sorted values; between the middle two, as NumPy interpolates."""
    middle, is_odd = divmod(len(rising), 2)
    low, high = rising[middle - 1 + is_odd], rising[middle]
    return low if is_odd else high - (high - low) * 0.5
