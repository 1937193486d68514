"""Quasi-random search: points that cover the space evenly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from caviar.contract.model import Model
from caviar.contract.space import Params
from service.search.distinct import first_distinct
from service.search.draws import uniforms
from service.search.halton import halton
from service.search.mirror import Mirror
from service.search.sampler import Proposal
from service.search.sobol import sobol

_SEQUENCES = {"sobol": sobol, "halton": halton}
# Draws of which each has its own key, before a space is gone through for what is left of it.
_MAX_TRIES = 20


class QuasiRandomSampler:
    """Takes the points of a low-discrepancy sequence one by one, scrambled by the study's seed.

    The n-th proposal is the n-th point: trials that a person adds leave no hole. A point whose configuration exists
    already, as happens where parameters have few values, is replaced by chance.
    """

    kind: ClassVar[str] = "quasi_random"
    learns: ClassVar[bool] = False

    class Options(Model):
        """Options.

        Attributes:
            sequence: Sobol's, most even after 2, 4, 8, … trials; or Halton's.
        """

        sequence: Literal["sobol", "halton"] = "sobol"

    def __init__(self, options: Options) -> None:
        self.options = options

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """The next point of the sequence."""
        return Proposal(first_distinct(mirror, self._draws(mirror, number)))

    def _draws(self, mirror: Mirror, number: int) -> Iterator[Params]:
        space, seed = mirror.space, mirror.spec.seed
        point = mirror.num_proposed_before(number)
        yield space.params_at(_SEQUENCES[self.options.sequence](seed, point, len(space)))
        for attempt in range(1, _MAX_TRIES):
            yield space.params_at(uniforms(len(space), seed, number, "quasi_random", attempt))
