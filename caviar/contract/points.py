"""What pictures of many trials are drawn from: a sample of them by columns, and a landscape of two parameters."""

from __future__ import annotations

from caviar.contract.model import View
from caviar.contract.space import ParamValue
from caviar.contract.states import TrialState
from caviar.contract.study import Metric


class Points(View):
    """A sample of a study's trials, column by column, in the order of trial numbers.

    Attributes:
        total: Trials that there were to choose from.
        num_shown: Trials in the sample: the length of every column.
        how: Which trials these are.
        rounds: Round of the strategy; null without one.
        values: Best value of the metric; null while there is none.
        epochs: Epochs reported.
        params: By parameter, natural values rounded to 6 digits; null where it does not apply.
        units: By parameter, places on its scale, 0 to 1; null where it does not apply or lies outside of the range.
    """

    study: str
    metric: Metric
    total: int
    num_shown: int
    how: str
    trial_ids: list[int]
    numbers: list[int]
    states: list[TrialState]
    rounds: list[int | None]
    values: list[float | None]
    epochs: list[int]
    params: dict[str, list[ParamValue | None]]
    units: dict[str, list[float | None]]


class ContourAxis(View):
    """One side of a landscape.

    Attributes:
        name: The parameter.
        units: Places of the columns or rows on its scale, 0 to 1, rising.
        params: The natural values there.
    """

    name: str
    units: list[float]
    params: list[ParamValue]


class Contour(View):
    """How the metric goes with two parameters, smoothed over the trials.

    Attributes:
        grid: Values, one list per place of `y`, each with one value per place of `x`; null where no trial is near.
        num_trials: Trials that it is drawn from.
        how: How the values come about.
    """

    study: str
    metric: Metric
    x: ContourAxis
    y: ContourAxis
    grid: list[list[float | None]]
    num_trials: int
    how: str
