"""Covariance matrix adaptation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.space import Params
from service.search.distinct import first_distinct
from service.search.draws import derive, uniform_array, uniforms
from service.search.evolution import Evolution, EvolutionOptions
from service.search.mirror import Mirror
from service.search.neighbourhood import Neighbourhood
from service.search.sampler import Proposal
from service.search.samplers.random import random_params

# Draws of which each has its own key, before the space is gone through near the last one.
_MAX_TRIES = 10
# Of how many of the best trials the parameters beside the evolution are drawn, and in how wide steps.
_MIN_ELITE = 8
_MAX_ELITE = 64
_SPREAD = 1.7


class CmaEsSampler:
    """Evolves a Gaussian distribution, generation by generation, towards the better trials of each.

    Parameters that have an order and no condition evolve together, in unit coordinates of their scales; whole numbers
    are rounded. The others are drawn beside them, near one of the best tenth of the trials: a choice without order is
    mostly that one's, and a parameter with a condition lies near that one's value.

    Source: Hansen 2016, "The CMA Evolution Strategy: A Tutorial"; the package `cmaes`.
    """

    kind: ClassVar[str] = "cma_es"
    learns: ClassVar[bool] = True

    class Options(Model):
        """Options, named as Optuna's.

        Attributes:
            sigma0: First standard deviation of draws, as a share of each range.
            popsize: Trials of a generation; None for 4 + 3 ln(number of parameters that evolve), rounded down.
            n_startup_trials: Random trials before the first generation. The search begins at the best of them.
        """

        sigma0: Annotated[float, Field(gt=0, le=10)] = 0.2
        popsize: Annotated[int, Field(ge=4, le=10_000)] | None = None
        n_startup_trials: Annotated[int, Field(ge=0, le=100_000)] = 10

    def __init__(self, options: Options) -> None:
        self.options = options

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """A draw from the distribution as it is now, or from chance at the start."""
        start = self.options.n_startup_trials
        evolution = mirror.index(Evolution, EvolutionOptions(self.options.sigma0, self.options.popsize, start))
        if evolution.num_members < start:
            return Proposal(random_params(mirror, number))
        return Proposal(first_distinct(mirror, self._draws(mirror, evolution, number)))

    def _draws(self, mirror: Mirror, evolution: Evolution, number: int) -> Iterator[Params]:
        space, seed = mirror.space, mirror.spec.seed
        elite = evolution.best(min(max(math.ceil(0.1 * len(mirror.trials)), _MIN_ELITE), _MAX_ELITE))
        near = Neighbourhood(mirror, elite, _SPREAD)
        for attempt in range(_MAX_TRIES):
            units = uniforms(len(space), seed, number, "cma_es anywhere", attempt)
            if near.elite:
                picks = uniform_array((1, 1 + len(space)), seed, number, "cma_es nearby", attempt)
                units = near.draw(picks, np.array([units]))[0].tolist()
            evolved = evolution.ask(derive(seed, number, "cma_es", attempt) % 2**32)
            for position, unit in zip(evolution.positions, evolved, strict=False):
                units[position] = unit
            yield space.params_at(units)
