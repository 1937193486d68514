"""Hyperband: successive halving in brackets that begin at different rungs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from caviar.contract.study import StudySpec
from service.search.pruners.asha import AshaPruner
from service.search.rungs import Ladder


class HyperbandPruner(AshaPruner):
    """Shares the trials among brackets: the first halves from the first rung on, each further one from a later rung.

    The last bracket trains its trials to the end at once. So a study whose learning curves cross, where early values
    mislead, still finds its best. Which bracket a trial belongs to is a function of seed and number.

    Source: Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization"; shares of the
        brackets as in Optuna's `HyperbandPruner`.
    """

    kind: ClassVar[str] = "hyperband"

    def ladders(self, spec: StudySpec) -> Sequence[Ladder]:
        """One per bracket, the longest first."""
        rungs = self.options.epochs(spec.budget.max_epochs)
        shares = _shares(len(rungs) + 1, self.options.reduction_factor)
        return [Ladder(rungs[first:], first, shares, spec.seed) for first in range(len(rungs) + 1)]


def _shares(num_brackets: int, reduction_factor: int) -> tuple[int, ...]:
    # Each bracket spends about the same number of epochs.
    halvings = range(num_brackets - 1, -1, -1)
    return tuple(-(-num_brackets * reduction_factor**left // (left + 1)) for left in halvings)
