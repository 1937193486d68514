"""What a study would propose and cost, before it is submitted."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from caviar.contract.model import View
from caviar.contract.space import Params


class Histogram(View):
    """Distribution of one parameter over a preview.

    Attributes:
        edges: Natural values at the ends of bins that are equally wide in the scale's coordinate, one more than counts;
            empty for a categorical.
        choices: The choices of a categorical; empty for numbers.
        counts: Configurations per bin or choice.
    """

    edges: list[float] = Field(default_factory=list)
    choices: list[Any] = Field(default_factory=list)
    counts: list[int]


class Cost(View):
    """What a study can cost at most; None where no limit is set.

    Attributes:
        max_trials: Trials.
        max_total_epochs: Epochs of all trials together.
        max_seconds: Wall seconds.
        num_configurations: Distinct configurations that the strategy can propose, such as the size of its grid.
    """

    max_trials: int | None
    max_total_epochs: int | None
    max_seconds: float | None
    num_configurations: int | None


class Preview(View):
    """What a study would propose, from the code that will propose it; nothing is stored."""

    configurations: list[Params]
    histograms: dict[str, Histogram]
    cost: Cost
