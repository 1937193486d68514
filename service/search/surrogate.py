"""The surrogate: a Gaussian process of a study's learning curves, kept up to date."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from caviar.contract.states import StopReason, TrialState
from service.search.columns import Columns
from service.search.gaussian_process import Hyperparameters, Posterior, fit_hyperparameters, standardised
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.rungs import is_failure, loss_of, losses_at

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

# Hyperparameters cost the cube of the observations that they are learnt from, and so many say enough of them.
_MAX_FITTED = 100
# Of greater ones the squares and sums are no numbers any more; among them none is told from the others.
_MAX_LOSS = 1e150


class _Status(IntEnum):
    IGNORED = 0
    PENDING = 1
    SEEN = 2
    FAILED = 3


class Forecast:
    """What results predict of the loss of a configuration at the end of its trial."""

    def __init__(self, posterior: Posterior) -> None:
        self.posterior = posterior

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the final loss, standardised.

        Args:
            rows: Configurations as the surrogate's columns have them, shape `(m, num_parameters)`.
        Returns:
            Two arrays of shape `(m,)`.
        """
        return self.posterior.predict(_at_end(rows))

    def believing(self, rows: Array) -> Forecast:
        """The forecast, were the final losses of these configurations known to be as predicted."""
        return Forecast(self.posterior.conditioned(_at_end(rows))) if len(rows) else self


class Surrogate(Index):
    """What a study's results predict of configurations that have no trial yet.

    Every trial is one observation: its best loss up to the highest rung that it has reached, or up to its end. The
    epoch is a further column, the logarithm of it, so what a few epochs tell of the end is learnt along with the rest.
    What losses have in common from rung to rung, the median change of the trials that have reached both, is taken off
    first. A trial that ended before the first rung counts as if it had come there, one that failed or diverged as the
    worst of all. Running trials that have not reached a rung are pending: all that is known of them is that their
    results will come.

    Attributes:
        rungs: Epochs of the rungs.
        columns: How configurations become rows.
    """

    def __init__(self, mirror: Mirror, rungs: tuple[int, ...], max_history: int) -> None:
        super().__init__(mirror)
        self.rungs = rungs
        self.columns = Columns(mirror.space)
        self._max_history = max_history
        levels = np.array([*rungs, mirror.spec.budget.max_epochs], dtype=float)
        self._times = np.log(levels) / max(math.log(levels[-1]), 1.0)
        self._times += 1 - self._times[-1]
        self._rows = np.empty((0, len(mirror.space)))
        self._losses = np.empty((0, len(levels)))
        self._levels = np.empty(0, dtype=np.intp)
        self._changes: list[list[float]] = [[] for _ in rungs]
        self._status = np.empty(0, dtype=np.int8)
        self._history: Numbers = np.empty(0, dtype=np.intp)
        self._known: Forecast | None = None
        self._known_for: Hyperparameters | None = None

    @property
    def num_results(self) -> int:
        """Trials of which something is known."""
        return int((self._status >= _Status.SEEN).sum())

    def update(self, trial: TrialRecord) -> None:
        """Replace what is recorded of a trial."""
        number = trial.number
        if number >= len(self._status):
            self._grow()
        status, losses = self._observe(trial)
        if status != self._status[number] or not np.array_equal(self._losses[number], losses, equal_nan=True):
            self._rows[number] = self.columns.row(trial.units)
            self._replace(number, losses)
            self._status[number] = status
            self._known = None

    def learn(self, *, start: Hyperparameters | None = None, max_iterations: int = 50) -> Hyperparameters:
        """What results tell of the shape of losses.

        Args:
            start: Where to begin instead of at what is plausible beforehand.
            max_iterations: Steps of the fit.
        Raises:
            ValueError: There are no results.
        """
        x, y = self._targets()
        some = np.argsort(y, kind="stable")[np.linspace(0, len(y) - 1, min(len(y), _MAX_FITTED)).astype(int)]
        kinds = (*self.columns.unordered, False)
        return fit_hyperparameters(x[some], y[some], kinds, start=start, max_iterations=max_iterations)

    def forecast(self, hyperparameters: Hyperparameters | None = None) -> Forecast:
        """What results predict, pending trials believed to come out as predicted.

        Args:
            hyperparameters: The shape of losses; None to learn it anew whenever results change.
        Raises:
            ValueError: There are no results.
        """
        if self._known is None or self._known_for != hyperparameters:
            self._known_for = hyperparameters
            self._known = Forecast(Posterior(hyperparameters or self.learn(), *self._targets()))
        pending = np.flatnonzero(self._status == _Status.PENDING)
        return self._known.believing(self._rows[pending[-self._max_history :]])

    @property
    def known_rows(self) -> Array:
        """Rows of the trials that the last forecast rests on."""
        return self._rows[self._history]

    def best(self, forecast: Forecast, count: int) -> tuple[list[int], float]:
        """Numbers of the trials with the least predicted losses, among those with results, and the least of these."""
        means, _ = forecast.predict(self.known_rows)
        order = np.argsort(means, kind="stable")[:count]
        return self._history[order].tolist(), float(means[order[0]])

    def _targets(self) -> tuple[Array, Array]:
        if not self.num_results:
            raise ValueError("no trial has a result yet; expected num_results to be at least 1")
        levels, losses = self._observations()
        self._history = self._chosen(losses)
        x = np.column_stack([self._rows[self._history], self._times[levels[self._history]]])
        return x, standardised(losses[self._history])

    def _observations(self) -> tuple[Numbers, Array]:
        """By trial, the last level that it has reached, and its loss there as it is expected to be at the end."""
        medians = [_median(changes) for changes in self._changes]
        to_come = np.append(np.cumsum(medians[::-1])[::-1], 0.0)
        levels = self._levels
        losses: Array = self._losses[np.arange(len(levels)), levels] + to_come[levels]
        seen = losses[self._status == _Status.SEEN]
        losses[self._status == _Status.FAILED] = seen.max() if len(seen) else 0.0
        return levels, losses

    def _replace(self, number: int, losses: Array) -> None:
        for changes, old, new in zip(self._changes, np.diff(self._losses[number]), np.diff(losses), strict=True):
            if not math.isnan(old):
                del changes[bisect_left(changes, old)]
            if not math.isnan(new):
                insort(changes, float(new))
        self._losses[number] = losses
        self._levels[number] = np.flatnonzero(~np.isnan(losses))[-1] if not np.isnan(losses).all() else -1

    def _observe(self, trial: TrialRecord) -> tuple[_Status, Array]:
        losses = np.full(len(self.rungs) + 1, np.nan)
        if not trial.fits or trial.stop_reason is StopReason.LOST:
            return _Status.IGNORED, losses
        if is_failure(trial):
            return _Status.FAILED, losses
        reached = losses_at(trial, self.rungs, self.mirror.metric)
        losses[: len(reached)] = reached
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            losses[-1] = loss_of(self.mirror.metric, trial.value)
        elif trial.state.is_finished and trial.value is not None and not reached:
            losses[0] = loss_of(self.mirror.metric, trial.value)
        if not np.isnan(losses).all():
            return _Status.SEEN, np.clip(losses, -_MAX_LOSS, _MAX_LOSS)
        return (_Status.IGNORED if trial.state.is_finished else _Status.PENDING), losses

    def _chosen(self, expected: Array) -> Numbers:
        seen = np.flatnonzero(self._status >= _Status.SEEN)
        if len(seen) <= self._max_history:
            return seen
        # By selection: to sort all of a long study would cost more than everything else here.
        num_best = self._max_history // 2
        losses = expected[seen]
        limit = np.partition(losses, num_best - 1)[num_best - 1]
        better, equal = np.flatnonzero(losses < limit), np.flatnonzero(losses == limit)
        is_chosen = np.zeros(len(seen), dtype=bool)
        is_chosen[better] = is_chosen[equal[: num_best - len(better)]] = True
        is_chosen[np.flatnonzero(~is_chosen)[num_best - self._max_history :]] = True
        chosen: Numbers = seen[is_chosen]
        return chosen

    def _grow(self) -> None:
        more = max(64, len(self._status))
        self._rows = np.vstack([self._rows, np.full((more, self._rows.shape[1]), np.nan)])
        self._losses = np.vstack([self._losses, np.full((more, self._losses.shape[1]), np.nan)])
        self._levels = np.concatenate([self._levels, np.full(more, -1)])
        self._status = np.concatenate([self._status, np.zeros(more, dtype=np.int8)])


def _median(rising: list[float]) -> float:
    middle = len(rising) // 2
    if len(rising) % 2:
        return rising[middle]
    return (rising[middle - 1] + rising[middle]) / 2 if rising else 0.0


def _at_end(rows: Array) -> Array:
    return np.column_stack([rows, np.ones(len(rows))])
