"""Memory as a function of the parameters: a Bayesian linear regression of its logarithm, in plain Python.

In logarithms a product is a sum, so a straight line finds that memory grows with units × layers × batch size.
Source: Bishop 2006, "Pattern Recognition and Machine Learning", section 3.3; Allen 1974, "The Relationship Between
Variable Selection and Data Augmentation", for the residuals of points left out (PRESS).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Value = str | float | bool
Vector = list[float]

# Before anything is measured: memory follows the square root of a parameter, one way or the other, and equal parameters
# differ by 10 %. As these are only beliefs, they weigh as much as three measurements.
_SLOPE_SD = 0.5
_NOISE_SD = 0.1
_BELIEF_WEIGHT = 3.0
_RIDGE = (_NOISE_SD / _SLOPE_SD) ** 2
_LEAST_OPENNESS = 0.05


@dataclass(frozen=True)
class Estimate:
    """What a training is expected to need.

    Attributes:
        log_bytes: The natural logarithm of the bytes.
        sd: Standard deviation of it.
    """

    log_bytes: float
    sd: float

    def bytes_at(self, num_sd: float) -> float:
        """Bytes that are exceeded only by so many standard deviations; infinity beyond what numbers hold."""
        exponent = self.log_bytes + num_sd * self.sd
        return math.exp(exponent) if exponent < 700 else math.inf


class Regression:
    """A fit to measurements; the further a question is from them, the wider its answer.

    Attributes:
        left_out: For each measurement, the logarithm of the bytes that a fit to all others would give.
    """

    def __init__(self, measured: Sequence[tuple[Mapping[str, Value], float]]) -> None:
        """Fit.

        Args:
            measured: Parameters with the bytes that they needed, at least one pair.
        """
        rows = [features(params) for params, _ in measured]
        self._names = sorted(set().union(*rows))
        self._count = len(measured)
        logs = [math.log(bytes_) for _, bytes_ in measured]
        self._mean_log = sum(logs) / self._count
        self._means = {name: sum(row.get(name, 0.0) for row in rows) / self._count for name in self._names}
        centred = [self._centred(row) for row in rows]
        self._inverse = _inverse(_normal_matrix(centred, len(self._names)))
        deviations = [log - self._mean_log for log in logs]
        moments = [sum(row[i] * y for row, y in zip(centred, deviations, strict=True)) for i in range(len(self._names))]
        self._slopes = _times(self._inverse, moments)
        self.left_out = self._predicted_by_the_others(centred, deviations)
        squares = sum((log - other) ** 2 for log, other in zip(logs, self.left_out, strict=True))
        self._variance = (_BELIEF_WEIGHT * _NOISE_SD**2 + squares) / (_BELIEF_WEIGHT + self._count)

    def estimate(self, params: Mapping[str, Value]) -> Estimate:
        """What parameters need, as far as the measurements tell."""
        row = features(params)
        x = self._centred(row)
        # What was never seen may matter as much as anything else.
        strange = sum(value**2 for name, value in row.items() if name not in self._means) / _RIDGE
        spread = 1.0 + 1.0 / self._count + _dot(x, _times(self._inverse, x)) + strange
        return Estimate(self._mean_log + _dot(x, self._slopes), math.sqrt(self._variance * spread))

    def _centred(self, row: Mapping[str, float]) -> Vector:
        return [row.get(name, 0.0) - self._means[name] for name in self._names]

    def _predicted_by_the_others(self, centred: Sequence[Vector], deviations: Sequence[float]) -> Vector:
        if self._count == 1:
            return [self._mean_log]
        predicted = []
        for x, deviation in zip(centred, deviations, strict=True):
            weight = 1.0 / self._count + _dot(x, _times(self._inverse, x))
            residual = (deviation - _dot(x, self._slopes)) / max(_LEAST_OPENNESS, 1.0 - weight)
            predicted.append(self._mean_log + deviation - residual)
        return predicted


def features(params: Mapping[str, Value]) -> dict[str, float]:
    """Parameters as numbers: logarithms where they are positive, else one feature for each value that was seen."""
    found = {}
    for name, value in params.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and math.isfinite(value):
            found[f"log {name}"] = math.log(value)
            # A parameter that applies only sometimes is away otherwise, and its logarithm is no number to compare with.
            found[f"has {name}"] = 1.0
        else:
            found[f"{name} = {value!r}"] = 1.0
    return found


def _normal_matrix(rows: Iterable[Vector], size: int) -> list[Vector]:
    matrix = [[_RIDGE if i == j else 0.0 for j in range(size)] for i in range(size)]
    for row in rows:
        for i, left in enumerate(row):
            if left:
                line = matrix[i]
                for j, right in enumerate(row):
                    line[j] += left * right
    return matrix


def _inverse(matrix: Sequence[Vector]) -> list[Vector]:
    """Inverse of a positive definite matrix, by elimination; it needs no search for pivots."""
    size = len(matrix)
    work = [[*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = work[i][i]
        work[i] = [value / pivot for value in work[i]]
        for j in range(size):
            if j != i and (factor := work[j][i]):
                work[j] = [value - factor * above for value, above in zip(work[j], work[i], strict=True)]
    return [row[size:] for row in work]


def _times(matrix: Sequence[Vector], vector: Sequence[float]) -> Vector:
    return [_dot(row, vector) for row in matrix]


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))
