"""What several pages show of a study: parameters, counts and progress, ready to be written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caviar.contract.space import CategoricalParameter, Params, Space
from caviar.contract.states import TrialState
from caviar.contract.views import StudyView
from service.web import formats

ORDER = (
    TrialState.RUNNING,
    TrialState.WAITING,
    TrialState.PAUSED,
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAILED,
    TrialState.CANCELLED,
)
"""States in the order of their life, as counts are shown."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A parameter of a trial.

    Attributes:
        name: The parameter.
        text: Its natural value, short.
        unit: Its place on the scale, in percent of the range; None without one.
        exact: The whole value, where the short one leaves digits out.
        scale: Name of its scale; `choice` for a categorical.
        low: Lower end of the range, short; empty for a categorical.
        high: Upper end of the range, short; empty for a categorical.
    """

    name: str
    text: str
    unit: float | None
    exact: str
    scale: str
    low: str
    high: str

    @property
    def is_number(self) -> bool:
        """Whether it is aligned as a number."""
        return self.scale != "choice"


@dataclass(frozen=True, slots=True)
class Share:
    """A state's part of all trials.

    Attributes:
        state: The state.
        count: How many trials are in it.
        start: Left end of its part of a bar, in percent.
        width: Width of its part of a bar, in percent.
    """

    state: str
    count: int
    start: float
    width: float


def cells(space: Space, params: Params) -> list[Cell]:
    """The parameters of a trial, those that do not apply included."""
    return [_cell(name, space, params) for name in space.names]


def shares(counts: Mapping[TrialState, int], total: int) -> list[Share]:
    """Parts of the states that occur.

    Args:
        counts: Trials by state.
        total: Trials that the whole bar stands for, at least as many as are counted.
    """
    whole = max(total, sum(counts.values()), 1)
    found, start = [], 0.0
    for state in ORDER:
        if number := counts.get(state, 0):
            width = 100 * number / whole
            found.append(Share(state.value, number, round(start, 3), round(width, 3)))
            start += width
    return found


def expected_trials(study: StudyView) -> int:
    """Trials that a study may have in the end, imported ones included; 0 without a limit."""
    return 0 if study.budget.max_trials is None else study.budget.max_trials + study.num_imported


def _cell(name: str, space: Space, params: Params) -> Cell:
    parameter, value = space[name], params.get(name)
    if isinstance(parameter, CategoricalParameter):
        scale, low, high = "choice", "", ""
    else:
        scale = parameter.scale
        low, high = formats.parameter(parameter.low, scale), formats.parameter(parameter.high, scale)
    # A value from before the range was edited has no place on it.
    is_placed = value is not None and parameter.refuse(value) is None and scale != "choice"
    unit = round(100 * parameter.to_unit(value), 1) if is_placed and value is not None else None
    text = formats.parameter(value, scale)
    exact = "does not apply" if value is None else formats.parameter(value, scale) if value is True else str(value)
    return Cell(name, text, unit, exact, scale, low, high)
