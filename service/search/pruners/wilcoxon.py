"""A paired test against the best trial."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from caviar.contract.model import Model
from caviar.contract.states import Decision, TrialState
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.pruner import GO_ON, Pruner, Verdict
from service.search.rungs import loss_of


class BestIndex(Index):
    """Complete trials by their values.

    Attributes:
        order: `(loss, number)` of every complete trial, best first.
    """

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(mirror)
        self.order: list[tuple[float, int]] = []
        self._losses: dict[int, float] = {}

    def update(self, trial: TrialRecord) -> None:
        """Put a trial where it belongs now."""
        old = self._losses.pop(trial.number, None)
        if old is not None:
            self.order.remove((old, trial.number))
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            loss = self._losses[trial.number] = loss_of(self.mirror.metric, trial.value)
            insort(self.order, (loss, trial.number))


class WilcoxonPruner(Pruner):
    """Stops a trial whose values are worse than the best complete trial's, epoch by epoch, by a signed-rank test.

    Decides as Optuna's `WilcoxonPruner` does.

    Source: Wilcoxon 1945, "Individual comparisons by ranking methods".
    """

    kind: ClassVar[str] = "wilcoxon"

    class Options(Model):
        """Options, named as Optuna's.

        Attributes:
            p_threshold: How probable it may be at most that a trial as good as the best one looks as bad.
            n_startup_steps: Epochs that both trials must have before anything is pruned; two in any case.
        """

        p_threshold: Annotated[float, Field(ge=0, le=1)] = 0.1
        n_startup_steps: Annotated[int, Field(ge=0, le=1_000_000)] = 2

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Compare the trial with the best complete one, over the epochs that both have."""
        order = mirror.index(BestIndex).order
        if not order:
            return GO_ON
        best = mirror.trials[order[0][1]]
        own = {step: loss_of(mirror.metric, value) for step, value in values.items()}
        other = {step: loss_of(mirror.metric, value) for step, value in best.values.items()}
        differences = [own[step] - other[step] for step in sorted(own) if step in other]
        if len(differences) < max(2, self.options.n_startup_steps):
            return GO_ON
        p_value = _p_value(differences)
        # A trial that is the better one on average goes on, whatever the test says.
        is_better = sum(own.values()) / len(own) <= sum(other.values()) / len(other)
        evidence: dict[str, JsonValue] = {
            "rule": self.kind,
            "epoch": epoch,
            "value": values[epoch],
            "threshold": self.options.p_threshold,
            "p_value": p_value,
            "best_trial": best.number,
            "peers": 1,
        }
        is_worse = p_value < self.options.p_threshold and not is_better
        return Verdict(Decision.STOP if is_worse else Decision.CONTINUE, evidence)


def _p_value(differences: list[float]) -> float:
    # Loading SciPy's statistics takes half a second, which studies with other pruners need not wait for.
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences, alternative="greater", zero_method="zsplit").pvalue)
