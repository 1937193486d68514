"""Gaussian process search: the greatest expected improvement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.special import ndtri

from caviar.contract.model import Model
from caviar.contract.space import Params
from service.search.distinct import first_distinct
from service.search.draws import derive, uniforms
from service.search.gaussian_process import log_expected_improvement
from service.search.mirror import Mirror
from service.search.rungs import study_rungs
from service.search.sampler import Proposal
from service.search.sobol import sobol
from service.search.surrogate import Surrogate

Array = npt.NDArray[np.float64]

# Even points of which each has its own key, before a space is gone through for what is left of it.
_MAX_TRIES = 20
# Half of the candidates lie anywhere, the others near so many of the best trials, in steps of either width.
_NUM_CENTRES = 8
_WIDTHS = (0.2, 0.05)
# Then the best candidates are improved in ever smaller steps.
_NUM_SURVIVORS = 4
_REFINEMENTS = (0.1, 0.05, 0.02, 0.01)
_NUM_REFINED = 64
# Gains below this share of the targets' deviation are not looked for: they would keep the search where it is.
_LEAST_GAIN = 0.1
# Share of the parameters that a step changes.
_CHANGED = 0.5


class GpSampler:
    """Proposes the configuration that is expected to improve most on the best, by a Gaussian process of the results.

    Pending trials are believed to come out as predicted, so that parallel proposals keep apart. Candidates come from
    chance alone, and the process only chooses among them: rounding in its linear algebra can move a proposal only where
    two candidates are as good as equal.

    Source: Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions".
    """

    kind: ClassVar[str] = "gp"
    learns: ClassVar[bool] = True

    class Options(Model):
        """Options.

        Attributes:
            n_startup_trials: Trials with a result before which configurations cover the space evenly.
            max_history: Trials that the process knows: of more, the best ones up to half of it, and the latest.
            num_candidates: Configurations among which the most promising is looked for, before it is refined.
        """

        n_startup_trials: Annotated[int, Field(ge=1, le=100_000)] = 16
        max_history: Annotated[int, Field(ge=10, le=1000)] = 150
        num_candidates: Annotated[int, Field(ge=2, le=100_000)] = 512

    def __init__(self, options: Options) -> None:
        self.options = options

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """The most promising candidate, or an even point while there are too few results."""
        surrogate = mirror.index(Surrogate, study_rungs(mirror.spec), self.options.max_history)
        if surrogate.num_results < self.options.n_startup_trials:
            return Proposal(first_distinct(mirror, _even(mirror, number)))
        return Proposal(first_distinct(mirror, self._promising(mirror, surrogate, number)))

    def _promising(self, mirror: Mirror, surrogate: Surrogate, number: int) -> Iterator[Params]:
        hunt = _Hunt(mirror, surrogate, number)
        for units in hunt.best_first(self.options.num_candidates).tolist():
            yield mirror.space.params_at(units)


def _even(mirror: Mirror, number: int) -> Iterator[Params]:
    space, seed = mirror.space, mirror.spec.seed
    yield space.params_at(sobol(seed, mirror.num_proposed, len(space)))
    for attempt in range(1, _MAX_TRIES):
        yield space.params_at(uniforms(len(space), seed, number, "gp", "even", attempt))


class _Hunt:
    """The search for the candidate of the greatest expected improvement, at one state of a study."""

    def __init__(self, mirror: Mirror, surrogate: Surrogate, number: int) -> None:
        self._surrogate = surrogate
        self._unordered = np.array(surrogate.columns.unordered)
        self._forecast = surrogate.forecast()
        best, self._best_mean = surrogate.best(self._forecast, _NUM_CENTRES)
        units = [mirror.trials[trial].units for trial in best]
        self._centres = np.array([[np.nan if unit is None else unit for unit in row] for row in units])
        self._random = np.random.Philox(key=derive(mirror.spec.seed, number, "gp"))

    def best_first(self, num_candidates: int) -> Array:
        """Candidates as points of the unit cube, the most promising first."""
        dimensions = self._centres.shape[1]
        near = num_candidates // 2
        centres = self._centres[np.arange(near) % len(self._centres)]
        widths = np.array(_WIDTHS)[np.arange(near) // len(self._centres) % len(_WIDTHS)]
        points = np.vstack([self._uniforms(num_candidates - near, dimensions), self._stepped(centres, widths)])
        promise = self._promise(points)
        for width in _REFINEMENTS:
            survivors = points[np.argsort(-promise, kind="stable")[:_NUM_SURVIVORS]]
            centres = survivors[np.arange(_NUM_REFINED) % len(survivors)]
            refined = self._stepped(centres, np.full(_NUM_REFINED, width))
            points = np.vstack([points, refined])
            promise = np.concatenate([promise, self._promise(refined)])
        found: Array = points[np.argsort(-promise, kind="stable")]
        return found

    def _promise(self, points: Array) -> Array:
        mean, deviation = self._forecast.predict(self._surrogate.columns.rows(points))
        return log_expected_improvement(mean, deviation, self._best_mean - _LEAST_GAIN)

    def _stepped(self, centres: Array, widths: Array) -> Array:
        """Points near others: clipped at the edges, where optima often are; choices without order are drawn anew."""
        anywhere = self._uniforms(*centres.shape)
        steps = widths[:, None] * ndtri(self._uniforms(*centres.shape))
        moved = np.where(self._unordered, anywhere, np.clip(centres + steps, 0.0, 1.0))
        is_changed = self._uniforms(*centres.shape) < _CHANGED
        at_least_one = (self._uniforms(len(centres), 1) * centres.shape[1]).astype(int)
        np.put_along_axis(is_changed, at_least_one, True, axis=1)
        # A parameter that does not apply at the centre may apply nearby.
        return np.where(np.isnan(centres), anywhere, np.where(is_changed, moved, centres))

    def _uniforms(self, rows: int, columns: int) -> Array:
        words = self._random.random_raw(rows * columns).reshape(rows, columns)
        found: Array = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        return found
