"""Prospects: the configurations that a round draws from, and how much each promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from caviar.contract.views import RoundView
from service.search.carrying import carried_windows
from service.search.draws import uniform_array
from service.search.gaussian_process import Hyperparameters, log_expected_improvement
from service.search.mirror import Mirror
from service.search.neighbourhood import Neighbourhood
from service.search.surrogate import Forecast, Surrogate
from service.search.windows import points_within

Array = npt.NDArray[np.float64]

# Of the configurations that a draw chooses among, so many lie anywhere, the others near the elite.
ANYWHERE_SHARE = 0.5
# With more results than this, some steps are shorter: the finest of twice as many half as long, and so on.
_COARSE_RESULTS = 100
_FINEST = 1 / 32
_NUM_SCALES = 8
# A gain below this, in standard deviations of the results, is not worth a trial.
_LEAST_GAIN = 0.1
# Figures of the model that are kept: what rounding in linear algebra does to the others must not matter.
_DIGITS = 6
_FIT_STEPS = 20


class Prospects:
    """What a round draws from, at one state of its study.

    A set of configurations is drawn from chance, half of them near the elite, and the one of which most is expected is
    taken: chance proposes, the model only chooses.

    Attributes:
        near: The elite of the round and its spread.
    """

    def __init__(
        self, mirror: Mirror, surrogate: Surrogate, round: RoundView, *, spread: float, model: Mapping[str, Any] | None
    ) -> None:
        """Look at a study.

        Args:
            mirror: The study.
            surrogate: What its results predict.
            round: Whose draws these are.
            spread: Width of a step, as a multiple of the elite's standard deviation.
            model: The model of the round; None to take whichever configuration comes first.
        """
        self.near = Neighbourhood(mirror, round.elite, spread)
        self._mirror = mirror
        self._surrogate = surrogate
        self._windows = carried_windows(mirror.space, round.windows) if round.origin == "manual" else None
        self._forecast: Forecast | None = None
        hyperparameters = _unpacked(model, surrogate)
        if hyperparameters is not None and surrogate.num_results:
            self._forecast = surrogate.forecast(hyperparameters)

    def points(self, count: int, *key: int | str) -> Array:
        """Points of the unit cube to choose among, shape `(count, num_parameters)`; equal keys give equal points."""
        width = len(self._mirror.space)
        anywhere = uniform_array((count, width), *key, "anywhere")
        if self._windows is not None:
            return points_within(self._mirror.space, self._windows, anywhere)
        if not self.near.elite:
            return anywhere
        nearby = self.near.draw(uniform_array((count, 1 + width), *key, "nearby"), anywhere, self._scales(count))
        # Alternating, so that any first few hold both kinds.
        is_anywhere = (np.arange(count) + 1) * ANYWHERE_SHARE % 1 < ANYWHERE_SHARE
        return np.where(is_anywhere[:, None], anywhere, nearby)

    def _scales(self, count: int) -> Array:
        # A model that knows much is sure of what lies a wide step away, and would look for news far off only.
        finest = min(max(_COARSE_RESULTS / max(self._surrogate.num_results, 1), _FINEST), 1.0)
        exponents = np.arange(count) // 2 % _NUM_SCALES / (_NUM_SCALES - 1)
        scales: Array = finest**exponents
        return scales[:, None]

    def order(self, points: Array) -> npt.NDArray[np.intp]:
        """Positions of the points, the most promising first."""
        if self._forecast is None:
            return np.arange(len(points))
        # The points and what is known are predicted in one go: that costs hardly more than either.
        rows = np.vstack([self._surrogate.columns.rows(points), self._surrogate.known_rows])
        mean, deviation = self._forecast.predict(rows)
        best, count = mean[len(points) :].min(), len(points)
        promise = log_expected_improvement(mean[:count], deviation[:count], best - _LEAST_GAIN)
        return np.argsort(-promise, kind="stable")


def learn(surrogate: Surrogate, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The model for a new round, as JSON; None while there are no results.

    Args:
        surrogate: The results.
        before: The model of the round before, from which the fit begins.
    """
    if not surrogate.num_results:
        return None
    found = surrogate.learn(start=_unpacked(before, surrogate), max_iterations=_FIT_STEPS)
    return {
        "lengths": [_rounded(length) for length in found.lengths],
        "signal_variance": _rounded(found.signal_variance),
        "noise_variance": _rounded(found.noise_variance),
    }


def chances(count: int, num_points: int) -> Array:
    """Chance that the point of each rank is the best of `count` that are picked of `num_points`, sum 1."""
    ranks = np.arange(num_points + 1) / num_points
    return np.diff(1 - (1 - ranks) ** count)


def _unpacked(model: Mapping[str, Any] | None, surrogate: Surrogate) -> Hyperparameters | None:
    kinds = (*surrogate.columns.unordered, False)
    # A model that was made for another space says nothing of this one.
    if model is None or len(model["lengths"]) != len(kinds):
        return None
    return Hyperparameters(
        tuple(model["lengths"]), kinds, signal_variance=model["signal_variance"], noise_variance=model["noise_variance"]
    )


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
