"""The neighbourhood of the best trials: how far they are spread, and draws near them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from statistics import NormalDist

from caviar.contract.space import CategoricalParameter
from caviar.contract.views import WindowView
from service.search.mirror import Mirror
from service.search.parameters import AnyParameter, cell, is_unordered

# Steps never get narrower than this share of the range: measurements are noisy, and the optimum may drift.
MIN_STEP = 0.01
# Of trials fewer than this, the spread says nothing.
MIN_SPREAD_TRIALS = 3
# How a choice without order is drawn: mostly that of the trial nearby, else any choice.
UNIFORM_SHARE = 0.15

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

    def cell_masses(self, position: int, parameter: CategoricalParameter) -> list[float]:
        """Probability of each choice of an ordered categorical, by the steps that `draw` makes."""
        centres, weights = self.centres(position)
        deviation, count = self.step(position, parameter), len(parameter.choices)
        pairs = list(zip(centres, weights, strict=True))
        ends = [
            sum(weight * _NORMAL.cdf((end / count - centre) / deviation) for centre, weight in pairs)
            for end in range(1, count)
        ]
        return [high - low for low, high in pairwise([0.0, *ends, 1.0])]

    def draw(self, windows: Mapping[str, WindowView], picks: Sequence[float], anywhere: Sequence[float]) -> list[float]:
        """A point near one member of the elite.

        Args:
            windows: What to stay within, by parameter.
            picks: Uniform draws, the first for the member, one more for each parameter.
            anywhere: Uniform draws that replace a coordinate of which the elite knows nothing.
        Returns:
            Unit coordinates of all parameters, whether they will apply or not.
        """
        chosen = _weighted(picks[0], self.weights)
        point = []
        for position, (name, parameter) in enumerate(self._space.items()):
            centre, pick = self._units[chosen][position], picks[1 + position]
            if centre is None:
                centres, weights = self.centres(position)
                if not centres:
                    point.append(anywhere[position])
                    continue
                centre = centres[_weighted(anywhere[position], weights)]
            if is_unordered(parameter):
                point.append(pick_choice(centre, pick, anywhere[position]))
            else:
                point.append(step_within(windows[name], centre, self.step(position, parameter), pick))
        return point


def rank_weights(count: int) -> list[float]:
    """Probabilities by rank, best first, sum 1.

    Source: Hansen 2016, "The CMA Evolution Strategy: A Tutorial", its weights of selected points.
    """
    raw = [math.log(count + 0.5) - math.log(rank) for rank in range(1, count + 1)]
    return [weight / sum(raw) for weight in raw]


def step_within(window: WindowView, centre: float, deviation: float, pick: float) -> float:
    """A Gaussian step by inversion: cut off at an end of the window inside the range, clipped at an end of the range.

    Args:
        window: What to stay within.
        centre: Unit coordinate to start from.
        deviation: Standard deviation of the step.
        pick: Uniform draw in (0, 1).
    """
    low, high = window.unit_low, window.unit_high
    below = _NORMAL.cdf((low - centre) / deviation) if low > 0 else 0.0
    above = _NORMAL.cdf((high - centre) / deviation) if high < 1 else 1.0
    share = below + pick * (above - below)
    if not 0 < share < 1:
        return min(max(centre, low), high)
    return min(max(centre + deviation * _NORMAL.inv_cdf(share), low), high)


def pick_choice(centre: float, pick: float, anywhere: float) -> float:
    """The unit coordinate of the neighbour's choice, now and then of any choice."""
    return anywhere if pick < UNIFORM_SHARE else centre


def _weighted(pick: float, weights: Sequence[float]) -> int:
    return min(bisect_right(list(accumulate(weights)), pick), len(weights) - 1)
