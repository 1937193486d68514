"""Coarse to fine: rounds that draw near the best trials so far, in steps as wide as those are spread."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Annotated, ClassVar

from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.space import Params
from caviar.contract.views import RoundView
from service.search.draws import uniforms
from service.search.halton import halton
from service.search.mirror import Mirror
from service.search.neighbourhood import Neighbourhood
from service.search.rungs import Ranking, study_rungs
from service.search.sampler import Proposal
from service.search.windows import make_windows, point_within, whole_space

# More are no better measured, and the list of them is stored with every round.
_MAX_ELITE = 64
# Draws of which each has its own key, until one is no exact repetition.
_MAX_TRIES = 20


class CoarseToFineSampler:
    """Narrows the search round by round, parameter by parameter.

    Round 0 covers the whole space evenly. Every later round is made of the elite, the best tenth of the trials so far:
    a draw takes one of them, better ones more often, and goes a Gaussian step from it in each parameter's own
    coordinate. The step is as wide as the elite is spread in that parameter, times `spread`: where a parameter decides,
    the elite comes together and the search narrows; where it does not matter, the search stays wide. Steps beyond the
    range end on its edge, where optima often are. A few draws stay global, so the search can move and widen again. The
    window of a round tells where the middle eight tenths of its draws near the elite fall.
    """

    kind: ClassVar[str] = "coarse_to_fine"

    class Options(Model):
        """Options.

        Attributes:
            startup_trials: Trials of round 0.
            round_size: Trials of each later round.
            elite_fraction: Share of the trials so far that a round is made of.
            min_elite: Least number of trials that a round is made of; round 0 goes on until there are so many.
            spread: Width of a step, as a multiple of the elite's standard deviation.
            global_fraction: Share of the draws of a later round that come from the whole space.
        """

        startup_trials: Annotated[int, Field(ge=1, le=100_000)] = 12
        round_size: Annotated[int, Field(ge=1, le=100_000)] = 8
        elite_fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
        min_elite: Annotated[int, Field(ge=2, le=_MAX_ELITE)] = 8
        spread: Annotated[float, Field(gt=0, le=10)] = 1.7
        global_fraction: Annotated[float, Field(ge=0, le=1)] = 0.1

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
        return Proposal(self._draw(mirror, current, number), current.number, opened)

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
        near = Neighbourhood(mirror, elite, self.options.spread)
        windows = make_windows(near, mirror.space, previous.windows)
        return RoundView(number=previous.number + 1, first_trial=number, elite=elite, windows=windows)

    def _draw(self, mirror: Mirror, round: RoundView, number: int) -> Params:
        params: Params = {}
        for attempt in range(_MAX_TRIES):
            params = mirror.space.params_at(self._units(mirror, round, number, attempt))
            if not mirror.is_taken(params):
                break
        return params

    def _units(self, mirror: Mirror, round: RoundView, number: int, attempt: int) -> list[float]:
        seed, space = mirror.spec.seed, mirror.space
        if not round.elite:
            # Points of a sequence lie evenly only while each is used as it is; a repeated one is replaced by chance.
            even = uniforms(len(space), seed, number, "again", attempt) if attempt else halton(seed, number, len(space))
            return point_within(space, round.windows, even)
        anywhere = uniforms(len(space), seed, number, "anywhere", attempt)
        is_global, *picks = uniforms(2 + len(space), seed, number, "nearby", attempt)
        if is_global < self.options.global_fraction:
            return anywhere
        return Neighbourhood(mirror, round.elite, self.options.spread).draw(picks, anywhere)


def _round_of(mirror: Mirror, number: int) -> RoundView | None:
    position = bisect_right(mirror.rounds, number, key=lambda opened: opened.first_trial)
    return mirror.rounds[position - 1] if position else None
