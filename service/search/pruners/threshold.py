"""Limits that a value must stay within."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import model_validator

from caviar.contract.errors import refusal
from caviar.contract.states import Decision
from service.search.mirror import Mirror
from service.search.pruner import GO_ON, Pruner, Verdict
from service.search.pruners.percentile import StepOptions


class ThresholdPruner(Pruner):
    """Stops a trial whose latest value lies outside given limits.

    Decides as Optuna's `ThresholdPruner` does. It compares with no other trial.
    """

    kind: ClassVar[str] = "threshold"

    class Options(StepOptions):
        """Options, named as Optuna's.

        Attributes:
            lower: Values below it stop a trial.
            upper: Values above it stop a trial.
        """

        lower: float | None = None
        upper: float | None = None

        @model_validator(mode="after")
        def _check_limits(self) -> Self:
            if self.lower is None and self.upper is None:
                raise refusal(None, "a number for upper, lower or both", "without any nothing is pruned", field="upper")
            if self.lower is not None and self.upper is not None and self.lower > self.upper:
                raise refusal(self.upper, f"a number of at least lower ({self.lower})", "exchange them", field="upper")
            return self

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Compare the latest value with the limits, if a check is due."""
        if not self.options.is_due(epoch, values):
            return GO_ON
        value, lower, upper = values[epoch], self.options.lower, self.options.upper
        is_low, is_high = lower is not None and value < lower, upper is not None and value > upper
        # Within the limits, the evidence tells the one that is worse to cross.
        is_minimized = mirror.metric.direction == "minimize"
        worse, other = (upper, lower) if is_minimized else (lower, upper)
        threshold = lower if is_low else upper if is_high else other if worse is None else worse
        return Verdict(
            Decision.STOP if is_low or is_high else Decision.CONTINUE,
            {"rule": self.kind, "epoch": epoch, "value": value, "threshold": threshold, "peers": 0},
        )
