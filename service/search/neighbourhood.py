"""The neighbourhood of the best trials: how far they are spread, and draws near them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from caviar.contract.space import Space
from service.search.mirror import Mirror
from service.search.parameters import cell, is_unordered

Array = npt.NDArray[np.float64]

# Steps never get narrower than this share of the range: measurements are noisy, and the optimum may drift.
MIN_STEP = 0.01
# Of trials fewer than this, the spread says nothing.
MIN_SPREAD_TRIALS = 3
# How a choice without order is drawn: mostly that of the trial nearby, else any choice.
UNIFORM_SHARE = 0.2


class Neighbourhood:
    """A mixture of Gaussians around elite trials, in unit coordinates.

    Attributes:
        elite: The trials' numbers, best first; those that do not fit the space are left out.
        weights: Probability of drawing near each, falling with the rank, sum 1.
        steps: Standard deviation of a step, by parameter.
    """

    def __init__(self, mirror: Mirror, elite: Sequence[int], spread: float) -> None:
        self.elite = [number for number in elite if mirror.trials[number].fits]
        self.weights = rank_weights(len(self.elite))
        units = [mirror.trials[number].units for number in self.elite]
        self._units: Array = np.array(units, dtype=float).reshape(len(units), len(mirror.space))
        self._unordered = np.array([is_unordered(parameter) for _, parameter in mirror.space.items()])
        self.steps = _steps(self._units, mirror.space, spread)

    def centres(self, position: int) -> tuple[list[float], list[float]]:
        """Unit coordinates of the elite in one parameter, where it applies, and their weights, sum 1."""
        column = self._units[:, position]
        applies = ~np.isnan(column)
        weights = np.array(self.weights)[applies]
        return column[applies].tolist(), (weights / weights.sum()).tolist() if applies.any() else []

    def draw(self, picks: Array, anywhere: Array, scales: Array | float = 1.0) -> Array:
        """Points near members of the elite; steps beyond the range end on its edge.

        Args:
            picks: Uniform draws, shape `(m, 1 + num_parameters)`: the first for the member, one for each parameter.
            anywhere: Uniform draws that replace a coordinate of which the elite knows nothing, shape
                `(m, num_parameters)`.
            scales: What the steps of each point are multiplied by, shape `(m, 1)`.
        Returns:
            Unit coordinates of all parameters, whether they will apply or not, shape `(m, num_parameters)`.
        """
        chosen = np.minimum(np.searchsorted(np.cumsum(self.weights), picks[:, 0]), len(self.elite) - 1)
        centres = self._units[chosen]
        for position in np.flatnonzero(np.isnan(centres).any(axis=0)).tolist():
            self._lend(position, centres, anywhere)
        near = np.clip(centres + scales * self.steps * ndtri(picks[:, 1:]), 0.0, 1.0)
        choices = np.where(picks[:, 1:] < UNIFORM_SHARE, anywhere, centres)
        points: Array = np.where(self._unordered, choices, near)
        return np.where(np.isnan(points), anywhere, points)

    def _lend(self, position: int, centres: Array, anywhere: Array) -> None:
        # Where a parameter does not apply to the member, it is drawn near one of those to which it does.
        known, weights = self.centres(position)
        lacks = np.isnan(centres[:, position])
        if known:
            others = np.searchsorted(np.cumsum(weights), anywhere[lacks, position])
            centres[lacks, position] = np.array(known)[np.minimum(others, len(known) - 1)]


def _steps(units: Array, space: Space, spread: float) -> Array:
    applies = ~np.isnan(units)
    counts = applies.sum(axis=0)
    known, shares = np.where(applies, units, 0.0), 1 / np.maximum(counts, 1)
    means = known.sum(axis=0) * shares
    deviations = np.sqrt((np.where(applies, known - means, 0.0) ** 2).sum(axis=0) * shares)
    least = [max(MIN_STEP, 0.5 * cell(parameter)) for _, parameter in space.items()]
    steps: Array = np.where(counts < MIN_SPREAD_TRIALS, 1.0, np.maximum(spread * deviations, least))
    return steps


def rank_weights(count: int) -> list[float]:
    """Probabilities by rank, best first, sum 1.

    Source: Hansen 2016, "The CMA Evolution Strategy: A Tutorial", its weights of selected points.
    """
    raw = [math.log(count + 0.5) - math.log(rank) for rank in range(1, count + 1)]
    return [weight / sum(raw) for weight in raw]
