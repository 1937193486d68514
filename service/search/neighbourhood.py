"""The neighbourhood of the best trials: how far they are spread, and draws near them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import NormalDist

from caviar.contract.space import CategoricalParameter
from service.search.mirror import Mirror
from service.search.parameters import AnyParameter, cell, choice_at, is_unordered

# Steps never get narrower than this share of the range: measurements are noisy, and the optimum may drift.
MIN_STEP = 0.01
# Of trials fewer than this, the spread says nothing.
MIN_SPREAD_TRIALS = 3
# How a choice without order is drawn: mostly that of the trial nearby, else any choice.
UNIFORM_SHARE = 0.2

# To find an end of a window within a thousandth of the range and better.
_BISECTIONS = 16

_NORMAL = NormalDist()


class Neighbourhood:
    """A mixture of Gaussians around elite trials, in unit coordinates.

    Attributes:
        elite: The trials' numbers, best first.
        weights: Probability of drawing near each, falling with the rank, sum 1.
    """

    def __init__(self, mirror: Mirror, elite: Sequence[int], spread: float) -> None:
        self.elite = list(elite)
        self.weights = rank_weights(len(elite))
        self._space = mirror.space
        self._units = [mirror.trials[number].units for number in elite]
        self._spread = spread

    def centres(self, position: int) -> tuple[list[float], list[float]]:
        """Unit coordinates of the elite in one parameter, where it applies, and their weights, sum 1."""
        pairs = [(units[position], weight) for units, weight in zip(self._units, self.weights, strict=True)]
        found = [(unit, weight) for unit, weight in pairs if unit is not None]
        total = sum(weight for _, weight in found)
        return [unit for unit, _ in found], [weight / total for _, weight in found]

    def step(self, position: int, parameter: AnyParameter) -> float:
        """Standard deviation of a step in one parameter, in unit coordinates."""
        centres, _ = self.centres(position)
        if len(centres) < MIN_SPREAD_TRIALS:
            return 1.0
        mean = sum(centres) / len(centres)
        deviation = math.sqrt(sum((centre - mean) ** 2 for centre in centres) / len(centres))
        return max(self._spread * deviation, MIN_STEP, 0.5 * cell(parameter))

    def quantile(self, position: int, parameter: AnyParameter, share: float) -> float:
        """Unit coordinate below which this share of the draws falls, steps beyond the range ending on its edge."""
        centres, weights = self.centres(position)
        deviation = self.step(position, parameter)
        low, high = 0.0, 1.0
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if _mass_below(middle, centres, weights, deviation) < share:
                low = middle
            else:
                high = middle
        # Where the share lies beyond the range, bisection has run into one of its ends.
        return low if high == 1.0 else high if low == 0.0 else (low + high) / 2

    def choice_shares(self, position: int, parameter: CategoricalParameter) -> list[float]:
        """Probability of each choice, by the draws that `draw` makes."""
        centres, weights = self.centres(position)
        count = len(parameter.choices)
        if is_unordered(parameter):
            shares = [UNIFORM_SHARE / count] * count
            for centre, weight in zip(centres, weights, strict=True):
                shares[choice_at(parameter, centre)] += (1 - UNIFORM_SHARE) * weight
            return shares
        deviation = self.step(position, parameter)
        ends = [_mass_below(end / count, centres, weights, deviation) for end in range(1, count)]
        return [high - low for low, high in pairwise([0.0, *ends, 1.0])]

    def draw(self, picks: Sequence[float], anywhere: Sequence[float]) -> list[float]:
        """A point near one member of the elite.

        Args:
            picks: Uniform draws, the first for the member, one more for each parameter.
            anywhere: Uniform draws that replace a coordinate of which the elite knows nothing.
        Returns:
            Unit coordinates of all parameters, whether they will apply or not.
        """
        chosen = weighted(picks[0], self.weights)
        point = []
        for position, (_, parameter) in enumerate(self._space.items()):
            centre, pick, stray = self._units[chosen][position], picks[1 + position], anywhere[position]
            if centre is None:
                centre = self._someone_elses(position, stray)
            if centre is None:
                point.append(stray)
            elif is_unordered(parameter):
                point.append(stray if pick < UNIFORM_SHARE else centre)
            else:
                step = self.step(position, parameter) * _NORMAL.inv_cdf(pick)
                point.append(min(max(centre + step, 0.0), 1.0))
        return point

    def _someone_elses(self, position: int, pick: float) -> float | None:
        centres, weights = self.centres(position)
        return centres[weighted(pick, weights)] if centres else None


def weighted(pick: float, weights: Sequence[float]) -> int:
    """The position that a uniform draw picks."""
    return min(bisect_right(list(accumulate(weights)), pick), len(weights) - 1)


def rank_weights(count: int) -> list[float]:
    """Probabilities by rank, best first, sum 1.

    Source: Hansen 2016, "The CMA Evolution Strategy: A Tutorial", its weights of selected points.
    """
    raw = [math.log(count + 0.5) - math.log(rank) for rank in range(1, count + 1)]
    return [weight / sum(raw) for weight in raw]


def _mass_below(unit: float, centres: Sequence[float], weights: Sequence[float], deviation: float) -> float:
    pairs = zip(centres, weights, strict=True)
    scale = deviation * math.sqrt(2)
    return sum(weight * (1 + math.erf((unit - centre) / scale)) / 2 for centre, weight in pairs)
