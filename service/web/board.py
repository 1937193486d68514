"""What a study's page shows: rows of the leaderboard, counts, progress and rounds, ready to be written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caviar.contract.space import CategoricalParameter, Params, Space
from caviar.contract.states import TrialState
from caviar.contract.study import Metric
from caviar.contract.views import BestTrial, Leaderboard, LeaderboardRow, RoundView, StudyView
from service.search.carrying import carried_windows
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
class Row:
    """A line of the leaderboard.

    Attributes:
        trial: The trial.
        value: Its value, aligned with those of the other rows.
        gap: Distance to the best value; empty for the best.
        cells: Its parameters in the order of the space.
        is_best: Whether it leads the study.
        share: Epochs reported, in percent of those it may have.
    """

    trial: LeaderboardRow
    value: str
    gap: str
    cells: list[Cell]
    is_best: bool
    share: float


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


@dataclass(frozen=True, slots=True)
class Window:
    """What a round draws one parameter from.

    Attributes:
        name: The parameter.
        text: Its range or weights in natural units.
        start: Lower end on the scale, in percent.
        width: Width on the scale, in percent.
        reason: Why.
    """

    name: str
    text: str
    start: float
    width: float
    reason: str


def cells(space: Space, params: Params) -> list[Cell]:
    """The parameters of a trial, those that do not apply included."""
    return [_cell(name, space, params) for name in space.names]


def rows(board: Leaderboard, study: StudyView) -> list[Row]:
    """The lines of a page of the leaderboard."""
    places = formats.decimals(study.best.value) if study.best else 4
    return [_row(trial, study, places) for trial in board.items]


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


def windows(entry: RoundView, space: Space) -> list[Window]:
    """What a round draws from, in the order of the space."""
    found = []
    # The round may be older than an edit of the space.
    carried = carried_windows(space, entry.windows)
    for name in space.names:
        if name in entry.windows:
            window = carried[name]
            parameter = space[name]
            if isinstance(parameter, CategoricalParameter):
                weights = window.weights or [1 / len(parameter.choices)] * len(parameter.choices)
                named = sorted(zip(weights, parameter.choices, strict=True), key=lambda pair: -pair[0])
                text = ", ".join(f"{formats.parameter(choice)} {weight:.0%}" for weight, choice in named)
                found.append(Window(name, text, 0.0, 0.0, window.reason))
            else:
                text = " … ".join(formats.parameter(end, parameter.scale) for end in (window.low, window.high))
                start, width = 100 * window.unit_low, 100 * (window.unit_high - window.unit_low)
                found.append(Window(name, text, round(start, 2), round(width, 2), window.reason))
    return found


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


def _row(trial: LeaderboardRow, study: StudyView, places: int) -> Row:
    is_best = study.best is not None and study.best.trial_id == trial.trial_id
    return Row(
        trial=trial,
        value=formats.aligned(trial.value, places),
        gap="" if is_best else _gap(trial.value, study.best, places, study.metric),
        cells=cells(study.space, trial.params),
        is_best=is_best,
        share=round(min(100.0, 100 * trial.num_epochs / trial.max_epochs), 1),
    )


def _gap(value: float | None, best: BestTrial | None, places: int, metric: Metric) -> str:
    if value is None or best is None:
        return ""
    distance = abs(value - best.value)
    sign = "+" if metric.direction == "minimize" else "−"
    return f"{sign}{formats.aligned(distance, places)}"
