"""The rungs that a study's trials climb, whichever pruner has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caviar.contract.study import Plugin, StudySpec
from service.search.pruners.asha import AshaPruner
from service.search.pruners.patient import PatientPruner
from service.search.registry import build_pruner
from service.search.rungs import Ladder


@dataclass(frozen=True)
class Climb:
    """How trials climb.

    Attributes:
        kind: The pruner that decides.
        reduction_factor: About one trial of so many goes on at each rung.
        promotes: Whether trials pause at a rung and may go on later; else those that are not kept end there.
        ladders: One per bracket.
    """

    kind: str
    reduction_factor: int
    promotes: bool
    ladders: Sequence[Ladder]


def climb_of(spec: StudySpec) -> Climb | None:
    """How the trials of a study climb; None where its pruner, or the one within a patient one, has no rungs."""
    plugin = spec.pruner
    if plugin.kind == PatientPruner.kind:
        wrapped = PatientPruner.Options.model_validate(plugin.options).wrapped
        plugin = wrapped or Plugin(kind="none")
    pruner = build_pruner(spec.model_copy(update={"pruner": plugin}))
    if not isinstance(pruner, AshaPruner):
        return None
    options = pruner.options
    return Climb(plugin.kind, options.reduction_factor, options.promote, pruner.ladders(spec))
