"""What a pruner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from caviar.contract.model import Model
from caviar.contract.states import Decision
from caviar.contract.study import StudySpec
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


@dataclass(frozen=True)
class Promotion:
    """A paused trial that is to go on.

    Attributes:
        number: The trial.
        epoch: Epoch of the rung that it is promoted from.
        evidence: What the promotion rests on: rule, rung, own value, threshold, number of peers compared.
    """

    number: int
    epoch: int
    evidence: dict[str, JsonValue]


class Pruner(ABC):
    """Judges running trials: a function of the options, the mirror's content and the trial's own curve alone.

    Attributes:
        kind: Name on the wire.
        Options: Model of the options.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[Model]]

    @abstractmethod
    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Decide on a trial that has just completed an epoch.

        Args:
            mirror: The study, not yet holding this epoch.
            number: The trial.
            epoch: The epoch, from 1.
            values: The trial's curve by epoch, this epoch included.
        """

    def pause_epochs(self, spec: StudySpec, number: int, promoted_epoch: int) -> list[int]:
        """Epochs at which a trial may be paused; checkpoints are kept there.

        Args:
            spec: The study.
            number: The trial.
            promoted_epoch: Epoch of the highest rung that it was promoted from, 0 for none.
        """
        return []

    def promote(self, mirror: Mirror, *, is_last_call: bool) -> Promotion | None:
        """The paused trial that goes on next, if one is good enough.

        Args:
            mirror: The study.
            is_last_call: Whether the study gets no new trials and nothing runs: what is not promoted now ends.
        """
        return None
