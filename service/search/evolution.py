"""CMA-ES as a function of a study's trials: which generations there were, and where the next draws come from."""

from __future__ import annotations

import copy
from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cmaes import CMA

from service.search.draws import uniforms
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.parameters import is_unordered
from service.search.results import Result, is_left_out, result_of

_MAX_SNAPSHOTS = 64

Point = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EvolutionOptions:
    """What an evolution is made with.

    Attributes:
        sigma0: First standard deviation of draws, as a share of the range.
        popsize: Trials of a generation; None for 4 + 3 ln(dimensions).
        n_startup_trials: Proposed trials before the first generation.
    """

    sigma0: float
    popsize: int | None
    n_startup_trials: int


class Evolution(Index):
    """The state of CMA-ES after all generations that have their results.

    Trials that the sampler proposed form generations in the order of their numbers, after those of the start. Each is
    told once all of its trials have a result, and all generations before it are told: so with many workers a generation
    is partly drawn before the one before it is told. The search begins at the best trial from before the first
    generation. Where it has converged, it begins anew at a random point. When a result changes after it was told, as
    that of a promoted trial does, its generation and those after it are told again.

    Attributes:
        positions: Positions in unit vectors of the parameters that evolve: unconditional ones whose values have
            neighbours.
        num_members: Trials so far that were proposed and are not left out.
    """

    def __init__(self, mirror: Mirror, options: EvolutionOptions) -> None:
        super().__init__(mirror)
        self.positions = [
            position
            for position, (_, parameter) in enumerate(mirror.space.items())
            if not parameter.when and not is_unordered(parameter)
        ]
        self._options = options
        dimensions = max(1, len(self.positions))
        self._popsize = options.popsize or 4 + int(3 * np.log(dimensions))
        self._members: list[int] = []
        self._results: dict[int, Result] = {}
        self._ranked: list[tuple[Result, int]] = []
        self._origin: int | None = None
        self._is_origin_stale = True
        self._snapshots: dict[int, CMA] = {}
        self._stride = 1
        self._generation = 0
        self._state: CMA | None = None

    @property
    def num_members(self) -> int:
        """Trials so far that were proposed and are not left out."""
        return len(self._members)

    def update(self, trial: TrialRecord) -> None:
        """Take in what is known of a trial now, and forget the generations that were told otherwise."""
        number = trial.number
        old, new = self._results.get(number), result_of(trial, self.mirror.metric)
        place = bisect_left(self._members, number)
        was_in = place < len(self._members) and self._members[place] == number
        is_in = trial.is_proposed and not is_left_out(trial)
        if was_in and not is_in:
            del self._members[place]
        elif is_in and not was_in:
            self._members.insert(place, number)
        if old != new:
            self._record(number, old, new)
        if old != new or was_in != is_in:
            self._is_origin_stale = self._is_origin_stale or place <= self._options.n_startup_trials
            if is_in or was_in:
                self._rewind(max(0, place - self._options.n_startup_trials) // self._popsize)

    def best(self, count: int) -> list[int]:
        """Numbers of the best trials, best first, without those that failed."""
        return [number for result, number in self._ranked[:count] if not result.is_failed]

    def ask(self, seed: int) -> list[float]:
        """Draw unit coordinates of the parameters that evolve, shape `(len(positions),)`; a function of state and seed.

        Steps beyond the range end on its edge, where optima often are.
        """
        state = self._advance()
        state.reseed_rng(seed)
        return [float(x) for x in np.clip(state.ask(), 0.0, 1.0)]

    def _record(self, number: int, old: Result | None, new: Result | None) -> None:
        if old is not None:
            del self._ranked[bisect_left(self._ranked, (old, number))]
            del self._results[number]
        if new is not None:
            insort(self._ranked, (new, number))
            self._results[number] = new

    def _rewind(self, generation: int) -> None:
        if generation < self._generation:
            self._snapshots = {told: state for told, state in self._snapshots.items() if told <= generation}
            self._generation = max(self._snapshots, default=0)
            self._state = copy.deepcopy(self._snapshots[self._generation]) if self._snapshots else None

    def _advance(self) -> CMA:
        """Tell every generation that has all its results and is not told yet."""
        if self._is_origin_stale:
            self._is_origin_stale = False
            origin = self._find_origin()
            if origin != self._origin:
                self._origin, self._state, self._snapshots, self._generation = origin, None, {}, 0
        state = self._state = self._state or self._begin(self._first_mean())
        while (generation := self._next_generation()) is not None:
            ranked = sorted(generation, key=lambda number: (self._results[number], number))
            # Equal ranks for equal results would change nothing: CMA-ES looks at the order alone.
            told = [(self._point(number), float(rank)) for rank, number in enumerate(ranked)]
            with np.errstate(all="ignore"):
                state.tell(told)
                is_over = not np.isfinite(state.mean).all() or bool(state.should_stop())
            self._generation += 1
            if is_over:
                seed = self.mirror.spec.seed
                anywhere = uniforms(max(1, len(self.positions)), seed, self._generation, "cma_es restart")
                state = self._state = self._begin(np.array(anywhere))
            self._keep(state)
        return state

    def _next_generation(self) -> list[int] | None:
        first = self._options.n_startup_trials + self._generation * self._popsize
        members = self._members[first : first + self._popsize]
        is_due = len(members) == self._popsize and all(number in self._results for number in members)
        return members if is_due else None

    def _keep(self, state: CMA) -> None:
        if self._generation % self._stride:
            return
        self._snapshots[self._generation] = copy.deepcopy(state)
        if len(self._snapshots) > _MAX_SNAPSHOTS:
            self._stride *= 2
            self._snapshots = {told: kept for told, kept in self._snapshots.items() if told % self._stride == 0}

    def _find_origin(self) -> int | None:
        start = self._options.n_startup_trials
        end = self._members[start] if len(self._members) > start else len(self.mirror.trials)
        return next((n for result, n in self._ranked if n < end and not result.is_failed), None)

    def _first_mean(self) -> Point:
        return np.full(max(1, len(self.positions)), 0.5) if self._origin is None else self._point(self._origin)

    def _begin(self, mean: Point) -> CMA:
        # Its own chance is never used: every draw brings its seed.
        return CMA(mean, self._options.sigma0, population_size=self._popsize, seed=0)

    def _point(self, number: int) -> Point:
        units = self.mirror.trials[number].units
        return np.array([units[position] for position in self.positions] or [0.5], dtype=float)
