"""What a sampler is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from caviar.contract.model import Model
from caviar.contract.space import Params
from caviar.contract.views import RoundView
from service.search.mirror import Mirror


@dataclass(frozen=True)
class Proposal:
    """A configuration to train next.

    Attributes:
        params: Natural values of the active parameters.
        round: Number of the round that it belongs to; None without rounds.
        opened: A round that this proposal opens: to be stored in the same transaction, then given to the mirror.
    """

    params: Params
    round: int | None = None
    opened: RoundView | None = None


class SpaceExhausted(Exception):
    """Every configuration of the search space has a trial already."""


class Sampler(Protocol):
    """Proposes configurations: a function of the options, the mirror's content and the trial's number alone.

    Attributes:
        kind: Name on the wire.
        learns: Whether a proposal depends on more of other trials than that none is to have the same configuration. One
            that does not learn may be asked for trials beyond the next one, which do not know of each other.
        Options: Model of the options.
    """

    kind: ClassVar[str]
    learns: ClassVar[bool]
    Options: ClassVar[type[Model]]

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """The configuration of trial `number`; the mirror is left as it is.

        Raises:
            SpaceExhausted: There is none that has no trial yet.
        """
        ...
