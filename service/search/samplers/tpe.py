"""Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from optuna.samplers import TPESampler
from optuna.study import Study
from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.space import Params, ParamValue, Space
from service.search.distinct import first_distinct
from service.search.draws import derive
from service.search.mirror import Mirror
from service.search.optuna_mirror import OptunaMirror
from service.search.parameters import is_unordered
from service.search.sampler import Proposal
from service.search.samplers.random import random_params

# Draws of which each has its own key, before the space is gone through near the last one.
_MAX_TRIES = 3
# Optuna takes the 25 best for good in a long study; some more let it see how good the rest of the best are.
_NUM_BEST = 50


class TpeSampler:
    """Draws where good trials are dense and bad ones are not.

    A fresh sampler is made for every proposal, with a seed of study seed and trial number, so a proposal depends on the
    trials alone. Parameters that apply under the same condition are drawn jointly.

    Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; Optuna's `TPESampler`.
    """

    kind: ClassVar[str] = "tpe"
    learns: ClassVar[bool] = True

    class Options(Model):
        """Options, named as Optuna's.

        Attributes:
            n_startup_trials: Finished trials before which draws are random.
            n_ei_candidates: Candidates of which the most promising is taken.
            multivariate: Whether parameters are drawn jointly.
            constant_liar: Whether trials that are still pending count as bad ones, so that parallel draws differ.
            max_history: Trials that a draw is made of at most: the best ones and the latest ones.
        """

        n_startup_trials: Annotated[int, Field(ge=1, le=100_000)] = 10
        n_ei_candidates: Annotated[int, Field(ge=1, le=10_000)] = 24
        multivariate: bool = True
        constant_liar: bool = True
        max_history: Annotated[int, Field(ge=1, le=1_000_000)] = 500

    def __init__(self, options: Options) -> None:
        self.options = options

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """A draw from Optuna, or from chance while there are too few results."""
        optuna_mirror = mirror.index(OptunaMirror)
        if optuna_mirror.num_results < self.options.n_startup_trials:
            return Proposal(random_params(mirror, number))
        study = optuna_mirror.extract(self.options.max_history, _NUM_BEST)
        draws = (self._ask(optuna_mirror, study, number, attempt) for attempt in range(_MAX_TRIES))
        return Proposal(first_distinct(mirror, draws))

    def _ask(self, optuna_mirror: OptunaMirror, study: Study, number: int, attempt: int) -> Params:
        spec, space = optuna_mirror.mirror.spec, optuna_mirror.mirror.space
        sampler = TPESampler(
            n_startup_trials=0,
            n_ei_candidates=self.options.n_ei_candidates,
            multivariate=self.options.multivariate,
            constant_liar=self.options.constant_liar,
            seed=derive(spec.seed, number, "tpe", attempt) % 2**32,
        )
        trial = optuna_mirror.ask_for(number)
        params: Params = {}
        while batch := _next_batch(space, params):
            wanted = {name: optuna_mirror.distributions[name] for name in batch}
            if self.options.multivariate:
                found = sampler.sample_relative(study, trial, wanted)
            else:
                found = {name: sampler.sample_independent(study, trial, name, wanted[name]) for name in batch}
            params |= {name: _natural(space, name, found[name]) for name in batch}
        return {name: params[name] for name in space.names if name in params}


def _next_batch(space: Space, params: Params) -> list[str]:
    """Parameters that apply, are not drawn yet, and share one condition."""
    ready = [name for name in space.parents_first if name not in params and space.is_active(name, params)]
    return [name for name in ready if space[name].when == space[ready[0]].when]


def _natural(space: Space, name: str, value: Any) -> ParamValue:
    parameter = space[name]
    if is_unordered(parameter):
        return parameter.choices[int(value)]
    return parameter.from_unit(float(value))
