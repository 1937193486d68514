"""Comparing a few studies."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from caviar.contract.model import View
from caviar.contract.states import StudyState
from caviar.contract.study import Metric, ObjectiveRef
from caviar.contract.views import BestTrial, Improvement

MAX_COMPARED = 6


class Distribution(View):
    """How the values of a study's trials are distributed.

    Attributes:
        num_trials: Trials with a value.
        values: Some of their values in rising order, the least and the greatest among them.
        shares: Share of the trials whose value is no greater, in (0, 1], of each.
    """

    num_trials: int
    values: list[float]
    shares: list[float]


class ComparedStudy(View):
    """What a study brought about, and what for.

    Attributes:
        num_epochs: Epochs reported so far, those of lost attempts included.
        slot_s: Seconds of slots that its trials have taken so far.
        history: Every epoch that was better than all before it, the oldest first.
        distribution: Of the best values of its trials.
    """

    name: str
    state: StudyState
    objective: ObjectiveRef
    metric: Metric
    best: BestTrial | None = None
    num_trials: int
    num_epochs: int
    slot_s: float
    created_at: datetime
    ended_at: datetime | None = None
    history: list[Improvement]
    distribution: Distribution


class SetupDifference(View):
    """A part of the set-up that is not the same in all of the studies.

    Attributes:
        field: Its path in the body of a study, such as `budget.max_trials` or `space.units`.
        values: Its value in each study, in their order; None where a study has none.
    """

    field: str
    values: list[Any]


class StudyComparison(View):
    """Several studies side by side.

    Attributes:
        items: The studies in the order in which they were asked for.
        differences: What differs in their set-up, names and tags aside.
    """

    items: list[ComparedStudy]
    differences: list[SetupDifference]
