"""Patience before another pruner is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.states import Decision
from caviar.contract.study import Plugin, StudySpec
from service.search.mirror import Mirror
from service.search.pruner import GO_ON, Promotion, Pruner, Verdict
from service.search.rungs import loss_of


class PatientPruner(Pruner):
    """Lets a trial be judged by another pruner only once it has not gained for some epochs.

    Decides as Optuna's `PatientPruner` does. Without another pruner it stops the trial then.
    """

    kind: ClassVar[str] = "patient"

    class Options(Model):
        """Options, named as Optuna's.

        Attributes:
            wrapped: The other pruner, with its options; None for none.
            patience: Epochs in a row without a gain that are let pass.
            min_delta: How much worse the best of those epochs must be than the best before them.
        """

        wrapped: Plugin | None = None
        patience: Annotated[int, Field(ge=0, le=1_000_000)] = 5
        min_delta: Annotated[float, Field(ge=0)] = 0.0

    def __init__(self, options: Options, wrapped: Pruner | None) -> None:
        """Wrap a pruner.

        Args:
            options: The options.
            wrapped: The pruner that `options.wrapped` names, built.
        """
        self.options = options
        self._wrapped = wrapped

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Compare the trial with its own past, then ask the other pruner."""
        losses = [loss_of(mirror.metric, values[other]) for other in sorted(values)]
        late = self.options.patience + 1
        if len(losses) <= late:
            return GO_ON
        before, after = min(losses[:-late]), min(losses[-late:])
        limit = before + self.options.min_delta
        if self._wrapped is not None:
            return self._wrapped.judge(mirror, number, epoch, values) if limit < after else GO_ON
        return Verdict(
            Decision.STOP if limit < after else Decision.CONTINUE,
            {
                "rule": self.kind,
                "epoch": epoch,
                "value": loss_of(mirror.metric, after),
                "threshold": loss_of(mirror.metric, limit),
                "peers": 0,
            },
        )

    def pause_epochs(self, spec: StudySpec, number: int, promoted_epoch: int) -> list[int]:
        """Where the other pruner may pause the trial."""
        return [] if self._wrapped is None else self._wrapped.pause_epochs(spec, number, promoted_epoch)

    def promote(self, mirror: Mirror, *, is_last_call: bool) -> Promotion | None:
        """What the other pruner promotes."""
        return None if self._wrapped is None else self._wrapped.promote(mirror, is_last_call=is_last_call)
