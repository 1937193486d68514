"""The strategy that fits the size of the space."""

from __future__ import annotations

from typing import ClassVar

from caviar.contract.model import Model
from caviar.contract.space import CategoricalParameter, Space
from service.search.grid import MAX_POINTS, Points
from service.search.mirror import Mirror
from service.search.sampler import Proposal
from service.search.samplers.coarse_to_fine import CoarseToFineSampler
from service.search.samplers.grid import GridSampler


class AutoSampler:
    """Tries everything where the budget allows it, and else goes from coarse to fine.

    If the space has at most `budget.max_trials` configurations, and at most 10,000, each is tried once, in shuffled
    order, as `grid` does. Otherwise, and where `max_trials` is not set, it is `coarse_to_fine` with its defaults.
    """

    kind: ClassVar[str] = "auto"
    learns: ClassVar[bool] = True

    class Options(Model):
        """No options."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._searching = CoarseToFineSampler(CoarseToFineSampler.Options())
        self._trying_all: tuple[Space, GridSampler] | None = None

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """What the strategy chosen by the rule proposes."""
        size, max_trials = mirror.space.num_configurations, mirror.spec.budget.max_trials
        if size is None or max_trials is None or size > min(max_trials, MAX_POINTS):
            return self._searching.propose(mirror, number)
        return self._grid(mirror.space).propose(mirror, number)

    def _grid(self, space: Space) -> GridSampler:
        if self._trying_all is None or self._trying_all[0] is not space:
            every: dict[str, Points] = {}
            for name, parameter in space.items():
                count = None if isinstance(parameter, CategoricalParameter) else parameter.num_values
                # Larger ones never apply, or the space would be larger too.
                if count is not None and count <= MAX_POINTS:
                    every[name] = count
            self._trying_all = space, GridSampler(GridSampler.Options(points=every))
        return self._trying_all[1]
