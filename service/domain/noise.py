"""How much values differ by chance alone, from repeated configurations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Group:
    """The complete trials of one configuration.

    Attributes:
        num: How many there are.
        mean: Of their values.
        squares: Sum of the squared distances of their values to the mean.
    """

    num: int
    mean: float
    squares: float

    @property
    def sd(self) -> float | None:
        """Sample standard deviation; None for a single value."""
        return math.sqrt(self.squares / (self.num - 1)) if self.num > 1 else None


@dataclass(frozen=True, slots=True)
class PooledNoise:
    """What repeats say of the noise.

    Attributes:
        num_configurations: Configurations with two values or more.
        num_trials: Their values.
        sd: Pooled standard deviation of one value.
        margin: Least difference of two single values that is significant.
    """

    num_configurations: int
    num_trials: int
    sd: float
    margin: float


def pooled(groups: Iterable[Group]) -> PooledNoise | None:
    """The noise that all configurations share, from those with two values or more.

    Two single trials differ significantly if their distance is above t * sd * sqrt(2), where sd is pooled over the
    groups and t is the quantile of Student's distribution with as many degrees of freedom as there are values less
    groups: Fisher's least significant difference. It is not corrected for the number of comparisons, nor for the best
    value being the luckiest of many, so a tie is to be read as "not told apart", and the contrary as a hint.

    Returns:
        None while no group has two values.
    Source: Montgomery 2017, "Design and Analysis of Experiments", section 3.5.7.
    """
    repeated = [group for group in groups if group.num > 1]
    if not repeated:
        return None
    num_trials = sum(group.num for group in repeated)
    freedom = num_trials - len(repeated)
    sd = math.sqrt(sum(group.squares for group in repeated) / freedom)
    margin = student_quantile((1 + CONFIDENCE) / 2, freedom) * sd * math.sqrt(2)
    return PooledNoise(len(repeated), num_trials, sd, margin)


def student_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution: exact for 1 and 2 degrees of freedom, else within 0.2 %.

    Args:
        probability: Between 0 and 1.
        freedom: Degrees of freedom, at least 1.
    Source: Abramowitz & Stegun 1964, "Handbook of Mathematical Functions", formula 26.7.5.
    """
    if freedom == 1:
        return math.tan(math.pi * (probability - 0.5))
    if freedom == 2:
        spread = 4 * probability * (1 - probability)
        return 2 * (probability - 0.5) * math.sqrt(2 / spread)
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(z + sum(term / freedom**power for power, term in enumerate(terms, start=1)))
