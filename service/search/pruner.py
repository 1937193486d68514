"""What a pruner is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import JsonValue

from caviar.contract.model import Model
from caviar.contract.states import Decision
from service.search.mirror import Mirror


@dataclass(frozen=True)
class Verdict:
    """What a trial does after an epoch.

    Attributes:
        decision: Go on, pause or stop.
        evidence: What a decision that was taken rests on: rule, epoch, own value, threshold, number of peers compared;
            None where there was nothing to decide.
    """

    decision: Decision
    evidence: dict[str, JsonValue] | None = None


GO_ON = Verdict(Decision.CONTINUE)


class Pruner(Protocol):
    """Judges running trials: a function of the options, the mirror's content and the trial's own curve alone.

    Attributes:
        kind: Name on the wire.
        Options: Model of the options.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[Model]]

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Decide on a trial that has just completed an epoch.

        Args:
            mirror: The study, not yet holding this epoch.
            number: The trial.
            epoch: The epoch, from 1.
            values: The trial's curve by epoch, this epoch included.
        """
        ...
