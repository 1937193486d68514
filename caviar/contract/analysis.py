"""What the service finds out about a study when it is asked: importances, and whether a replay says the same."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from caviar.contract.model import View


class ImportanceMethod(StrEnum):
    """How importances are computed."""

    PED_ANOVA = "ped_anova"
    FANOVA = "fanova"


class ImportanceView(View):
    """How much one parameter matters.

    Attributes:
        importance: Its share of all importances, 0 to 1.
        num_trials: Compared trials in which it applies.
    """

    name: str
    importance: float
    num_trials: int


class Importances(View):
    """The parameters of a study by how much they matter.

    Attributes:
        num_trials: Trials that were compared.
        items: The most important first; importances sum to 1, or are all 0 where nothing made a difference.
    """

    study: str
    method: ImportanceMethod
    num_trials: int
    items: list[ImportanceView]


class ReplayDifference(View):
    """A suggestion that a replay computes otherwise.

    Attributes:
        number: Of the trial.
        stored: Its `params`, and the `round` where it opened one.
        recomputed: The same, computed now; empty if the sampler had nothing to propose.
    """

    number: int
    stored: dict[str, Any] = Field(default_factory=dict)
    recomputed: dict[str, Any] = Field(default_factory=dict)


class ReplayView(View):
    """What a replay of a study's suggestions found.

    Attributes:
        num_checked: Suggestions that were computed again.
        num_identical: Those that came out the same to the last digit.
        num_unchecked: Trials that nobody suggested (enqueued or imported ones), or that do not say what they were based
            on.
        is_identical: Whether all suggestions that were checked came out the same.
    """

    study: str
    num_checked: int
    num_identical: int
    num_unchecked: int = 0
    first_difference: ReplayDifference | None = None
    is_identical: bool
