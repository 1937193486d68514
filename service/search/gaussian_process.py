"""Gaussian process regression over the unit cube, small and fast: what a result predicts of configurations nearby.

Rows are configurations, columns parameters. A numeric column holds unit coordinates. An unordered column holds the
positions of choices, of which only equality counts. NaN stands where a parameter does not apply.

Squared distances add up over the columns, each divided by its squared length: of two numbers the squared difference; of
two choices 0 or 1, and "does not apply" is one more choice. A number that does not apply lies half a range off the
middle of the range, in a direction of its own. That is a distance between points of a Euclidean space, so the
covariance is valid whatever the columns.

Source: Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", chapters 2, 4 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr, ndtri
from threadpoolctl import threadpool_limits

Array = npt.NDArray[np.float64]

# Prior of the logarithms, mean and deviation. Lengths grow with the root of the dimension, as in Hvarfner et al. 2024,
# "Vanilla Bayesian Optimization Performs Great in High Dimensions"; to this mean half the logarithm of it is added.
# Their deviation is a third of that paper's, which finds good points sooner on learning curves.
_LOG_LENGTH = (-0.8, 0.6)
_LOG_SIGNAL = (0.0, 1.0)
_LOG_NOISE = (-4.0, 1.0)

_LENGTH_BOUNDS = (math.log(0.02), math.log(100.0))
_SIGNAL_BOUNDS = (math.log(0.05), math.log(20.0))
# Below the least noise, the Cholesky factor of neighbours that nearly coincide is no longer safe.
_NOISE_BOUNDS = (math.log(1e-6), math.log(1.0))

# Squared distance, in ranges, that not applying adds to a number's distance from the middle.
_INACTIVE = 0.25


@dataclass(frozen=True)
class Hyperparameters:
    """What is learnt of a function's shape.

    Attributes:
        lengths: Per column, the distance over which results lose their likeness: in ranges, or for an unordered column
            such that a mismatch counts `1 / length**2`.
        unordered: Per column, whether it holds choices without order.
        signal_variance: Variance of the function, in squared deviations of the targets.
        noise_variance: Variance of what no parameter explains.
    """

    lengths: tuple[float, ...]
    unordered: tuple[bool, ...]
    signal_variance: float
    noise_variance: float


class Posterior:
    """A function known at some points, with noise; of the others, a mean and a deviation."""

    def __init__(self, hyperparameters: Hyperparameters, x: Array, y: Array) -> None:
        """Condition on observations.

        Args:
            hyperparameters: From `fit_hyperparameters`, or kept from an earlier fit.
            x: Points, shape `(n, d)`, n ≥ 0.
            y: Targets, mean about 0 and deviation about 1, shape `(n,)`.
        Raises:
            LinAlgError: The noise is too small for points as near to each other as these.
        """
        _use_one_thread()
        self.hyperparameters = hyperparameters
        self._points = _Points(x, hyperparameters)
        covariance = self._points.covariances(self._points)
        covariance[np.diag_indices_from(covariance)] += hyperparameters.noise_variance
        self._factor = _cholesky(covariance)
        self._whitened = _solve_lower(self._factor, y[:, None])[:, 0]

    def predict(self, candidates: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the function, without noise.

        Args:
            candidates: Points, shape `(m, d)`.
        Returns:
            Two arrays of shape `(m,)`.
        """
        points = _Points(candidates, self.hyperparameters)
        explained = _solve_lower(self._factor, self._points.covariances(points))
        variance = self.hyperparameters.signal_variance - np.einsum("nm,nm->m", explained, explained)
        # What rounding leaves of a variance of 0 may be negative.
        floor = 1e-12 * self.hyperparameters.signal_variance
        return explained.T @ self._whitened, np.sqrt(np.maximum(variance, floor))

    def conditioned(self, x: Array, y: Array | None = None) -> Posterior:
        """The posterior with further observations; costs O(n²) for each, not O(n³).

        Args:
            x: Points, shape `(p, d)`.
            y: Targets, shape `(p,)`; None for points whose results are pending: they are believed to come out at their
                predicted mean, which leaves all means as they are and takes the uncertainty nearby.
        Source: Ginsbourger et al. 2010, "Kriging Is Well-Suited to Parallelize Optimization" (kriging believer).
        """
        points = _Points(x, self.hyperparameters)
        across = _solve_lower(self._factor, self._points.covariances(points))
        within = points.covariances(points)
        within[np.diag_indices_from(within)] += self.hyperparameters.noise_variance
        corner = _cholesky(within - across.T @ across)
        if y is None:
            whitened = np.zeros(len(x))
        else:
            whitened = _solve_lower(corner, (y - across.T @ self._whitened)[:, None])[:, 0]
        grown = Posterior.__new__(Posterior)
        grown.hyperparameters = self.hyperparameters
        grown._points = self._points.followed_by(points)
        grown._factor = np.block([[self._factor, np.zeros(across.shape)], [across.T, corner]])
        grown._whitened = np.concatenate([self._whitened, whitened])
        return grown


def fit_hyperparameters(
    x: Array,
    y: Array,
    unordered: Sequence[bool],
    *,
    start: Hyperparameters | None = None,
    max_iterations: int = 50,
) -> Hyperparameters:
    """The most probable hyperparameters, by their prior and the likelihood of the targets.

    Args:
        x: Points, shape `(n, d)`.
        y: Targets, mean about 0 and deviation about 1, shape `(n,)`.
        unordered: Per column, whether it holds choices without order.
        start: Where to begin instead of at the prior's centre.
        max_iterations: Steps of L-BFGS-B.
    Raises:
        ValueError: The shapes do not match, or a target is not finite.
    """
    if x.ndim != 2 or y.shape != x.shape[:1] or len(unordered) != x.shape[1] or not np.isfinite(y).all():
        raise ValueError(
            f"received x {x.shape}, y {y.shape}, {len(unordered)} kinds of columns; "
            "expected x (n, d), y (n,) of finite numbers, and d kinds"
        )
    _use_one_thread()
    evidence = Evidence(x, y, unordered)
    begin = evidence.centre if start is None else packed(start)
    bounds = [*[_LENGTH_BOUNDS] * x.shape[1], _SIGNAL_BOUNDS, _NOISE_BOUNDS]
    found = minimize(
        evidence.loss,
        np.clip(begin, *np.transpose(bounds)),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": max_iterations, "ftol": 1e-5, "gtol": 1e-3},
    )
    lengths, signal, noise = np.exp(found.x[:-2]), math.exp(found.x[-2]), math.exp(found.x[-1])
    return Hyperparameters(tuple(lengths.tolist()), tuple(map(bool, unordered)), signal, noise)


def packed(hyperparameters: Hyperparameters) -> Array:
    """The logarithms of lengths, signal variance and noise variance, shape `(d + 2,)`."""
    return np.log([*hyperparameters.lengths, hyperparameters.signal_variance, hyperparameters.noise_variance])


def standardised(losses: Array) -> Array:
    """Targets for a fit, in the order of the losses: mean 0, deviation 1, and no outliers.

    The better half keeps its proportions. Losses worse than the median get the quantiles of a normal distribution that
    is as wide as the better half, so that diverging configurations do not hide how the good ones differ.

    Args:
        losses: Finite numbers, lower is better, shape `(n,)`, n ≥ 1.
    Source: Song et al. 2024, "The Vizier Gaussian Process Bandit Algorithm", its half-rank warping.
    """
    median = np.median(losses)
    is_worse = losses > median
    width = math.sqrt(np.mean((losses[~is_worse] - median) ** 2))
    _, which, counts = np.unique(losses, return_inverse=True, return_counts=True)
    # Equal losses share the mean of their ranks.
    quantiles = ((np.cumsum(counts) - counts / 2) / len(losses))[which]
    targets = np.where(is_worse, median + (width or 1.0) * ndtri(quantiles), losses)
    deviation = targets.std()
    centred: Array = targets - targets.mean()
    # Of losses that differ by next to nothing the deviation may come out as 0.
    return centred / deviation if deviation > 0 else np.zeros(len(losses))


class Evidence:
    """How probable hyperparameters are, given observations.

    Attributes:
        centre: Packed hyperparameters of the greatest prior density.
    """

    def __init__(self, x: Array, y: Array, unordered: Sequence[bool]) -> None:
        count, dimensions = x.shape
        length = (_LOG_LENGTH[0] + math.log(max(dimensions, 1)) / 2, _LOG_LENGTH[1])
        self.centre, self._deviation = np.transpose([*[length] * dimensions, _LOG_SIGNAL, _LOG_NOISE])
        self._y = y
        self._below, self._right = np.tril_indices(count, -1)
        # Position in a matrix of Fortran order, in which LAPACK works without copies.
        self._flat = self._below + self._right * count
        self._squares = np.empty((dimensions, len(self._flat)))
        for position, is_unordered in enumerate(unordered):
            column = x[:, position]
            self._squares[position] = _squares(column[self._below], column[self._right], is_unordered)

    def loss(self, theta: Array) -> tuple[float, Array]:
        """Negative logarithm of the posterior density up to a constant, and its gradient.

        Args:
            theta: Packed hyperparameters, shape `(d + 2,)`.
        """
        count = len(self._y)
        weights, signal, noise = np.exp(-2 * theta[:-2]), math.exp(theta[-2]), math.exp(theta[-1])
        reach = np.sqrt(5 * (weights @ self._squares))
        decay = signal * np.exp(-reach)
        covariance = decay * (1 + reach + reach**2 / 3)
        matrix = np.zeros(count * count)
        matrix[self._flat] = covariance
        matrix[:: count + 1] = signal + noise
        factor = _cholesky(matrix.reshape(count, count, order="F"))
        weighted, _ = lapack.dpotrs(factor, self._y, lower=1)
        logarithm = np.log(factor.diagonal()).sum()
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        # ½ tr((αα' - K⁻¹) ∂K) is the likelihood's derivative; K is symmetric, so pairs count twice.
        pull = weighted[self._below] * weighted[self._right] - inverse.ravel(order="F")[self._flat]
        own = (weighted @ weighted - inverse.trace()) / 2
        by_length = (self._squares @ (pull * decay * (1 + reach))) * weights * (5 / 3)
        gradient = np.concatenate([by_length, [pull @ covariance + own * signal, own * noise]])
        off = (theta - self.centre) / self._deviation
        value = float(self._y @ weighted) / 2 + logarithm + float(off @ off) / 2
        return value, off / self._deviation - gradient


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Logarithm of the expected gain below `best`, exact to rounding however small it is.

    Args:
        mean: Predicted losses, lower is better.
        deviation: Their standard deviations, positive.
        best: The loss to improve on.
    Source: Ament et al. 2023, "Unexpected Improvements to Expected Improvement for Bayesian Optimization".
    """
    z = (best - mean) / deviation
    near = np.maximum(z, -1.0)
    far = np.minimum(z, -1.0)
    gain = np.exp(-(near**2) / 2) / math.sqrt(2 * math.pi) + near * np.exp(log_ndtr(near))
    # φ(z) + zΦ(z) = φ(z)(1 - |z| √(π/2) erfcx(|z|/√2)), of which the bracket tends to 1/z² - 3/z⁴.
    middle, distant = np.maximum(far, -1000.0), np.minimum(far, -1000.0)
    bracket = np.log1p(middle * math.sqrt(math.pi / 2) * erfcx(-middle / math.sqrt(2)))
    bracket = np.where(far < -1000.0, np.log1p(-3 / distant**2) - 2 * np.log(-distant), bracket)
    tail = -(far**2) / 2 - math.log(2 * math.pi) / 2 + bracket
    result: Array = np.where(z > -1, np.log(gain), tail) + np.log(deviation)
    return result


class _Points:
    """Points ready for distances: numbers in units of their lengths, choices as they are."""

    def __init__(self, x: Array, hyperparameters: Hyperparameters) -> None:
        self._hyperparameters = hyperparameters
        unordered = np.array(hyperparameters.unordered, dtype=bool)
        lengths = np.array(hyperparameters.lengths)
        numbers, self._choices = x[:, ~unordered], np.nan_to_num(x[:, unordered], nan=-1.0)
        self._choice_weights = lengths[unordered] ** -2
        is_inactive = np.isnan(numbers)
        scaled = np.where(is_inactive, 0.5, numbers) / lengths[~unordered]
        off = math.sqrt(_INACTIVE) * is_inactive / lengths[~unordered]
        self._coordinates = np.hstack([scaled, off]) if is_inactive.any() else scaled

    def covariances(self, others: _Points) -> Array:
        """Covariances of the function between these points and others, shape `(n, m)`."""
        own, their = self._aligned(others)
        squares = (own**2).sum(axis=1)[:, None] + (their**2).sum(axis=1) - 2 * (own @ their.T)
        for position, weight in enumerate(self._choice_weights):
            squares += weight * (self._choices[:, position, None] != others._choices[:, position])
        reach = np.sqrt(5 * np.maximum(squares, 0.0))
        signal = self._hyperparameters.signal_variance
        return np.asarray(signal * (1 + reach + reach**2 / 3) * np.exp(-reach))

    def followed_by(self, others: _Points) -> _Points:
        """These points and others."""
        joint = _Points.__new__(_Points)
        joint.__dict__.update(self.__dict__)
        joint._coordinates = np.vstack(self._aligned(others))
        joint._choices = np.vstack([self._choices, others._choices])
        return joint

    def _aligned(self, others: _Points) -> tuple[Array, Array]:
        own, their = self._coordinates, others._coordinates
        width = max(own.shape[1], their.shape[1])
        return _widened(own, width), _widened(their, width)


def _widened(coordinates: Array, width: int) -> Array:
    missing = width - coordinates.shape[1]
    return np.pad(coordinates, ((0, 0), (0, missing))) if missing else coordinates


def _squares(a: Array, b: Array, is_unordered: bool) -> Any:
    if is_unordered:
        return (np.nan_to_num(a, nan=-1.0) != np.nan_to_num(b, nan=-1.0)).astype(float)
    differences = np.nan_to_num(a, nan=0.5) - np.nan_to_num(b, nan=0.5)
    return differences**2 + _INACTIVE * (np.isnan(a) != np.isnan(b))


def _cholesky(covariance: Array) -> Array:
    factor, failed_at = lapack.dpotrf(covariance, lower=1, clean=1, overwrite_a=1)
    if failed_at:
        raise np.linalg.LinAlgError(f"the covariance is not positive definite in row {failed_at}")
    return np.asarray(factor)


def _solve_lower(factor: Array, right: Array) -> Array:
    if not right.size:
        return right
    solved, _ = lapack.dtrtrs(factor, right, lower=1)
    return np.asarray(solved)


@cache
def _use_one_thread() -> None:
    # Matrices here are small: threads of BLAS would wait for each other 50 times as long as they work, and sums in
    # another order would make results differ in the last digits. The limit holds for the whole process.
    threadpool_limits(limits=1, user_api="blas")
