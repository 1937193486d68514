"""The percentile stopping rule."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.states import Decision, TrialState
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.pruner import GO_ON, Pruner, Verdict

Count = Annotated[int, Field(ge=0, le=1_000_000)]
PositiveCount = Annotated[int, Field(ge=1, le=1_000_000)]
_MANY = 100


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

    def catch_up(self) -> None:
        """Take in what has changed; of much at once, as of a long study after a start, the values are sorted once."""
        if len(self.stale) < _MANY:
            super().catch_up()
            return
        changed = [self.mirror.trials[number] for number in self.stale]
        for trial in changed:
            self._take_out(trial.number)
        for trial in changed:
            if trial.state is TrialState.COMPLETE:
                self.complete[trial.number] = dict(trial.values)
                for epoch, value in trial.values.items():
                    self.at_epoch.setdefault(epoch, []).append(value)
        for values in self.at_epoch.values():
            values.sort()
        self.stale.clear()

    def update(self, trial: TrialRecord) -> None:
        """Take in a curve that is complete, or take one out that is no longer."""
        self._take_out(trial.number)
        if trial.state is TrialState.COMPLETE:
            self.complete[trial.number] = dict(trial.values)
            for epoch, value in trial.values.items():
                insort(self.at_epoch.setdefault(epoch, []), value)

    def _take_out(self, number: int) -> None:
        for epoch, value in self.complete.pop(number, {}).items():
            values = self.at_epoch[epoch]
            del values[bisect_left(values, value)]


class StepOptions(Model):
    """When a pruner that looks at every epoch looks at one, named as Optuna's.

    Attributes:
        n_warmup_steps: Epochs before which nothing is pruned.
        interval_steps: Epochs between two checks.
    """

    n_warmup_steps: Count = 0
    interval_steps: PositiveCount = 1

    def is_due(self, epoch: int, epochs: Collection[int]) -> bool:
        """Whether an epoch is checked: a check that fell on one without a value is made up for at the next one.

        Args:
            epoch: That has been completed.
            epochs: All that have a value, this one among them.
        """
        if epoch < self.n_warmup_steps or max(epochs) > epoch:
            return False
        due = (epoch - self.n_warmup_steps) // self.interval_steps * self.interval_steps + self.n_warmup_steps
        return not any(other in epochs for other in range(due, epoch))


class PeerOptions(StepOptions):
    """When there are enough complete trials to compare with, named as Optuna's.

    Attributes:
        n_startup_trials: Complete trials before which nothing is pruned.
        n_min_trials: Complete trials that must have a value at the epoch.
    """

    n_startup_trials: Count = 5
    n_min_trials: PositiveCount = 1


class PercentilePruner(Pruner):
    """Stops a trial whose best value so far is outside the best percentile of complete trials at the same epoch.

    Decides as Optuna's `PercentilePruner` does, from sorted values that are kept up epoch by epoch.
    """

    kind: ClassVar[str] = "percentile"

    class Options(PeerOptions):
        """Options, named as Optuna's.

        Attributes:
            percentile: How many of 100 complete trials a trial must keep up with.
        """

        percentile: Annotated[float, Field(ge=0, le=100)] = 25.0

    def __init__(self, options: Options) -> None:
        self.options: PeerOptions = options
        self._percentile = options.percentile

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Compare the trial's best value so far with the percentile, if a check is due."""
        if not self.options.is_due(epoch, values):
            return GO_ON
        index = mirror.index(CompleteIndex)
        peers = index.at_epoch.get(epoch, [])
        if not peers or len(index.complete) < self.options.n_startup_trials or len(peers) < self.options.n_min_trials:
            return GO_ON
        is_minimized = mirror.metric.direction == "minimize"
        value = (min if is_minimized else max)(values.values())
        threshold = percentile_of(peers, self._percentile if is_minimized else 100 - self._percentile)
        return Verdict(
            Decision.STOP if mirror.metric.better(threshold, value) else Decision.CONTINUE,
            {"rule": self.kind, "epoch": epoch, "value": value, "threshold": threshold, "peers": len(peers)},
        )


def percentile_of(rising: Sequence[float], percentile: float) -> float:
    """A percentile of sorted values; between two of them, as NumPy interpolates."""
    place = percentile / 100 * (len(rising) - 1)
    below = min(int(place), len(rising) - 1)
    low, high = rising[below], rising[min(below + 1, len(rising) - 1)]
    share = place - below
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)
