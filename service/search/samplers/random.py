"""Independent random draws."""

from __future__ import annotations

from typing import ClassVar

from caviar.contract.model import Model
from caviar.contract.space import Params
from service.search.draws import uniforms
from service.search.mirror import Mirror
from service.search.sampler import Proposal


class RandomSampler:
    """Draws every parameter uniformly in its scale's coordinate.

    Trial n gets the same configuration whatever the other trials do, however many workers there are and in whichever
    order they ask.
    """

    kind: ClassVar[str] = "random"

    class Options(Model):
        """No options."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """A uniform draw."""
        return Proposal(random_params(mirror, number))


def random_params(mirror: Mirror, number: int) -> Params:
    """The configuration that the trial gets from chance alone."""
    space = mirror.space
    return space.params_at(uniforms(len(space), mirror.spec.seed, number, "random"))
