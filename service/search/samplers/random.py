"""Independent random draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from caviar.contract.model import Model
from caviar.contract.space import Params
from service.search.distinct import first_distinct
from service.search.draws import uniforms
from service.search.mirror import Mirror
from service.search.sampler import Proposal

# Draws of which each has its own key, before a space is gone through for what is left of it.
_MAX_TRIES = 20


class RandomSampler:
    """Draws every parameter uniformly in its scale's coordinate.

    Trial n gets the same configuration whatever the other trials do, however many workers there are and in whichever
    order they ask. Only where an earlier trial has that very configuration is it drawn again.
    """

    kind: ClassVar[str] = "random"
    learns: ClassVar[bool] = False

    class Options(Model):
        """No options."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """A uniform draw."""
        return Proposal(random_params(mirror, number))


def random_params(mirror: Mirror, number: int) -> Params:
    """The configuration that the trial gets from chance alone.

    Raises:
        SpaceExhausted: Every configuration has a trial.
    """
    return first_distinct(mirror, _draws(mirror, number))


def _draws(mirror: Mirror, number: int) -> Iterator[Params]:
    space, seed = mirror.space, mirror.spec.seed
    yield space.params_at(uniforms(len(space), seed, number, "random"))
    for attempt in range(1, _MAX_TRIES):
        yield space.params_at(uniforms(len(space), seed, number, "random", attempt))
