"""Coarse to fine: rounds that draw near the best trials so far, where a model of the results promises most."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.space import Params
from caviar.contract.views import RoundView, WindowView
from service.search import prospects
from service.search.carrying import carried_windows
from service.search.distinct import first_distinct
from service.search.draws import uniforms
from service.search.halton import halton
from service.search.mirror import Mirror
from service.search.prospects import Prospects
from service.search.ranking import Ranking
from service.search.rungs import study_rungs
from service.search.sampler import Proposal
from service.search.surrogate import Surrogate
from service.search.windows import Drawn, make_windows, whole_space

# More are no better measured, and the list of them is stored with every round.
_MAX_ELITE = 64
# Even points of which each has its own key, before a space is gone through for what is left of it.
_MAX_TRIES = 20
# Points by which the windows of a round are found.
_NUM_SURVEYED = 512


class CoarseToFineSampler:
    """Narrows the search round by round, parameter by parameter.

    Round 0 covers the whole space evenly. Every later round is made of the elite, the best fifth of the trials so far.
    For a draw, `num_candidates` configurations are made up: half of them a Gaussian step away from a member of the
    elite, better ones more often, in each parameter's own coordinate; the other half anywhere. The step is as wide as
    the elite is spread in that parameter, times `spread`: where a parameter decides, the elite comes together and the
    search narrows; where it does not matter, the search stays wide. Steps beyond the range end on its edge, where
    optima often are. Of these configurations the one is taken from which a Gaussian process of all results expects the
    greatest improvement, pending trials taken into account. A few draws are left to chance, so the search can move and
    widen again. The window of a round tells where the middle eight tenths of its draws fall.

    Source: Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions", for the expected
        improvement.
    """

    kind: ClassVar[str] = "coarse_to_fine"
    learns: ClassVar[bool] = True

    class Options(Model):
        """Options.

        Attributes:
            startup_trials: Trials of round 0.
            round_size: Trials of each later round.
            elite_fraction: Share of the trials so far that a round is made of.
            min_elite: Least number of trials that a round is made of; round 0 goes on until there are so many.
            spread: Width of a step, as a multiple of the elite's standard deviation.
            global_fraction: Share of the draws of a later round that are left to chance in the whole space.
            num_candidates: Configurations among which a draw chooses; 1 to go without the model.
            max_history: Trials that the model knows: of more, the best ones up to half of it, and the latest.
        """

        startup_trials: Annotated[int, Field(ge=1, le=100_000)] = 12
        round_size: Annotated[int, Field(ge=1, le=100_000)] = 8
        elite_fraction: Annotated[float, Field(gt=0, le=1)] = 0.2
        min_elite: Annotated[int, Field(ge=2, le=_MAX_ELITE)] = 12
        spread: Annotated[float, Field(gt=0, le=10)] = 2.5
        global_fraction: Annotated[float, Field(ge=0, le=1)] = 0.05
        num_candidates: Annotated[int, Field(ge=1, le=100_000)] = 64
        max_history: Annotated[int, Field(ge=10, le=1000)] = 120

    def __init__(self, options: Options) -> None:
        self.options = options

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """Draw from the round that the trial belongs to, opening one where the last is full."""
        current, opened = _round_of(mirror, number), None
        if current is None:
            current = opened = RoundView(number=0, first_trial=number, windows=whole_space(mirror.space))
        elif current is mirror.rounds[-1] and self._is_full(current, number):
            opened = self._next_round(mirror, number)
            current = opened or current
        return Proposal(first_distinct(mirror, self._draws(mirror, current, number)), current.number, opened)

    def _is_full(self, round: RoundView, number: int) -> bool:
        size = self.options.round_size if round.number else self.options.startup_trials
        return number >= round.first_trial + size

    def _next_round(self, mirror: Mirror, number: int) -> RoundView | None:
        ranking = mirror.index(Ranking, study_rungs(mirror.spec))
        share = math.ceil(self.options.elite_fraction * ranking.num_results)
        elite = ranking.best(min(max(share, self.options.min_elite), _MAX_ELITE))
        if len(elite) < self.options.min_elite:
            return None
        previous = mirror.rounds[-1]
        opened = RoundView(
            number=previous.number + 1,
            first_trial=number,
            elite=elite,
            windows=previous.windows,
            model=self._learn(mirror, previous.number),
        )
        return opened.model_copy(update={"windows": self._windows(mirror, opened)})

    def _learn(self, mirror: Mirror, last: int) -> dict[str, object] | None:
        if self.options.num_candidates == 1:
            return None
        return prospects.learn(self._surrogate(mirror), _model(mirror, last))

    def _windows(self, mirror: Mirror, opened: RoundView) -> dict[str, WindowView]:
        found = self._prospects(mirror, opened)
        points = found.points(_NUM_SURVEYED, mirror.spec.seed, opened.first_trial, "survey")
        if self.options.num_candidates == 1:
            # The first of the points, which is then the only one, always lies near the elite.
            points = points[::2]
        chances = prospects.chances(self.options.num_candidates, len(points))
        drawn = Drawn(points[found.order(points)], chances, self.options.global_fraction)
        return make_windows(found.near, mirror.space, drawn, carried_windows(mirror.space, opened.windows))

    def _draws(self, mirror: Mirror, round: RoundView, number: int) -> Iterator[Params]:
        space, seed = mirror.space, mirror.spec.seed
        if round.origin == "manual":
            yield from self._screened(mirror, round, number)
            # A person has said where to look, so what is taken there is replaced from there.
            within = self._prospects(mirror, round).points(_MAX_TRIES, seed, number, "again")
            yield from (space.params_at(point) for point in within.tolist())
            return
        if not round.number:
            # Points of a sequence lie evenly only while each is used as it is; a repeated one is replaced by chance.
            yield space.params_at(halton(seed, number, len(space)))
        elif uniforms(1, seed, number, "is global")[0] >= self.options.global_fraction:
            yield from self._screened(mirror, round, number)
        for attempt in range(_MAX_TRIES):
            yield space.params_at(uniforms(len(space), seed, number, "global", attempt))

    def _screened(self, mirror: Mirror, round: RoundView, number: int) -> Iterator[Params]:
        found = self._prospects(mirror, round)
        points = found.points(self.options.num_candidates, mirror.spec.seed, number)
        for point in points[found.order(points)].tolist():
            yield mirror.space.params_at(point)

    def _prospects(self, mirror: Mirror, round: RoundView) -> Prospects:
        model = None if self.options.num_candidates == 1 else round.model or _model(mirror, round.number)
        return Prospects(mirror, self._surrogate(mirror), round, spread=self.options.spread, model=model)

    def _surrogate(self, mirror: Mirror) -> Surrogate:
        return mirror.index(Surrogate, study_rungs(mirror.spec), self.options.max_history)


def _round_of(mirror: Mirror, number: int) -> RoundView | None:
    position = bisect_right(mirror.rounds, number, key=lambda opened: opened.first_trial)
    return mirror.rounds[position - 1] if position else None


def _model(mirror: Mirror, last: int) -> dict[str, object] | None:
    """The newest model up to a round; a round that was opened by hand has none of its own."""
    kept = (opened.model for opened in reversed(mirror.rounds[: last + 1]) if opened.model is not None)
    return next(kept, None)
