"""The leaderboard as it is shown: columns with their headers, rows with their cells, ready to be written down."""

from __future__ import annotations

from dataclasses import dataclass

from caviar.contract.ranking import Leaderboard, LeaderboardRow, Noise, Repeats
from caviar.contract.space import CategoricalParameter, Space
from caviar.contract.study import Metric
from caviar.contract.views import StudyView
from service.domain.board_query import COLUMNS, BoardQuery, short_name
from service.web import formats
from service.web.tables import board
from service.web.tables.evidence import grounds

MAX_USUAL_PARAMETERS = 10
"""Columns of parameters that are shown unless the reader chooses."""
ANCHOR = "#leaderboard"
_PARAMS = "params."
_LABELS = {
    "rank": "rank",
    "trial": "trial",
    "gap": "to best",
    "repeats": "repeats",
    "best_epoch": "best at",
    "epochs": "epochs",
    "state": "state",
    "duration": "time",
    "device": "device",
    "memory": "memory",
    "round": "round",
    "worker": "worker",
    "origin": "origin",
    "created": "created",
    "tags": "tags and note",
}
_NUMBERS = frozenset({"rank", "value", "gap", "repeats", "best_epoch", "epochs", "duration", "memory", "round"})
_SCALES = {"log": "log", "reverse_log": "1−x", "logit": "logit"}
_BY_VALUE = ("rank", "value", "gap")
# Where most is best, most comes first when such a column is chosen.
_MOST_FIRST = frozenset({"epochs", "memory", "duration", "created", "tags", "round"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        key: One of `COLUMNS`, or `params.` and a name.
        name: As it is written in an address.
        label: Its header.
        hint: What stands below the header: range and scale of a parameter.
        is_number: Whether it is aligned as a number.
        order: `ascending` or `descending` if the rows are sorted by it, in the words of ARIA; else None.
        address: Of the page sorted by it, or turned round.
    """

    key: str
    name: str
    label: str
    hint: str
    is_number: bool
    order: str | None
    address: str

    @property
    def is_parameter(self) -> bool:
        """Whether it shows a parameter."""
        return self.key.startswith(_PARAMS)


@dataclass(frozen=True, slots=True)
class Row:
    """A line.

    Attributes:
        trial: The trial.
        value: Its value, aligned with those of the other rows.
        gap: Distance to the best value; empty for the best and without a value.
        cells: Its parameters by column.
        reason: Why it ended, unless the state says it; empty while it has not.
        evidence: What that rests on, in a sentence.
        repeats: What its configuration reached, aligned.
        tie: Why it is marked as no worse than the best; empty if it is not.
        is_best: Whether it leads the study.
        is_pinned: Whether it stands above the others.
        pin: Address that pins it, or lets it go.
    """

    trial: LeaderboardRow
    value: str
    gap: str
    cells: dict[str, board.Cell]
    reason: str
    evidence: str
    repeats: str
    tie: str
    is_best: bool
    is_pinned: bool
    pin: str


def usual_columns(found: Leaderboard, space: Space) -> tuple[str, ...]:
    """The columns that are shown unless the reader chooses: those that hold something, and the first parameters."""
    rows = [*found.pinned, *found.items]
    held = {
        "repeats": any(row.repeats and row.repeats.num > 1 for row in rows),
        "device": any(row.device for row in rows),
        "memory": any(row.peak_memory_bytes is not None for row in rows),
        "tags": any(row.tags or row.note for row in rows),
        "round": False,
        "worker": False,
        "origin": False,
        "created": False,
    }
    plain = [name for name in COLUMNS if held.get(name, True)]
    after = plain.index("state") + 1
    params = [_PARAMS + name for name in space.names[:MAX_USUAL_PARAMETERS]]
    return *plain[:after], *params, *plain[after:]


def shown_columns(query: BoardQuery, found: Leaderboard, study: StudyView) -> list[Column]:
    """The columns of a view. What a trial is called is always among them."""
    keys = query.columns or usual_columns(found, study.space)
    if "trial" not in keys:
        keys = ("trial", *keys)
    return [column(key, query, study) for key in keys]


def column(key: str, query: BoardQuery, study: StudyView) -> Column:
    """A column with the order that the rows have by it, and the address of the one that they get by its header."""
    space, base = study.space, f"/studies/{study.name}"
    hint, is_number = "", key in _NUMBERS
    label = study.metric.name if key == "value" else _LABELS.get(key, key.removeprefix(_PARAMS))
    if key.startswith(_PARAMS):
        hint = parameter_hint(space, key.removeprefix(_PARAMS))
        is_number = not isinstance(space[key.removeprefix(_PARAMS)], CategoricalParameter)
    sort = "rank" if key in _BY_VALUE else key
    is_sorted = query.sort in {sort, key}
    is_descending = not query.is_descending if is_sorted else key in _MOST_FIRST
    # Of the columns that tell the same order one is marked.
    is_marked = key == "value" if query.sort in _BY_VALUE else is_sorted
    order = _order(query, study.metric) if is_marked else None
    address = f"{base}{query.changed(sort=sort, is_descending=is_descending).address}{ANCHOR}"
    return Column(key, short_name(key), label, hint, is_number, order, address)


def _order(query: BoardQuery, metric: Metric) -> str:
    # Best first means falling values where the highest is the best.
    turns = query.sort in ("rank", "gap") and metric.direction == "maximize"
    return "descending" if query.is_descending != turns else "ascending"


def parameter_hint(space: Space, name: str) -> str:
    """Range and scale of a parameter, short."""
    parameter = space[name]
    if isinstance(parameter, CategoricalParameter):
        return "choice"
    ends = " … ".join(formats.parameter(end, parameter.scale) for end in (parameter.low, parameter.high))
    return f"{ends} {_SCALES.get(parameter.scale, '')}".strip()


def rows(entries: list[LeaderboardRow], query: BoardQuery, study: StudyView, noise: Noise | None) -> list[Row]:
    """The lines of some trials, pinned or not."""
    places = formats.decimals(study.best.value) if study.best else 4
    return [_row(entry, query, study, noise, places) for entry in entries]


def _row(trial: LeaderboardRow, query: BoardQuery, study: StudyView, noise: Noise | None, places: int) -> Row:
    is_best = study.best is not None and study.best.trial_id == trial.trial_id
    is_pinned = trial.number in query.pins
    others = tuple(number for number in query.pins if number != trial.number)
    pins = others if is_pinned else (*others, trial.number)
    sign = "+" if study.metric.direction == "minimize" else "−"
    is_told = trial.stop_reason is not None and trial.stop_reason.value != trial.state.value
    return Row(
        trial=trial,
        value=formats.aligned(trial.value, places),
        gap="" if is_best or trial.gap is None else sign + formats.aligned(trial.gap, places),
        cells={_PARAMS + cell.name: cell for cell in board.cells(study.space, trial.params)},
        reason=formats.words(trial.stop_reason) if is_told and trial.stop_reason else "",
        evidence=grounds(trial.evidence, study.metric),
        repeats=repeats_text(trial.repeats, places),
        tie=tie_text(trial, noise) if trial.is_tied else "",
        is_best=is_best,
        is_pinned=is_pinned,
        pin=f"/studies/{study.name}{query.changed(pins=pins, after=query.after).address}{ANCHOR}",
    )


def repeats_text(told: Repeats | None, places: int) -> str:
    """Mean and standard deviation over the complete trials of a configuration; empty for fewer than two."""
    if told is None or told.sd is None:
        return ""
    return f"{formats.aligned(told.mean, places)} ± {formats.number(told.sd, 2)}"


def tie_text(trial: LeaderboardRow, noise: Noise | None) -> str:
    """Why a trial counts as no worse than the best."""
    if noise is None or trial.gap is None:
        return ""
    return (
        f"Not told apart from the best: its distance {formats.number(trial.gap, 3)} is within the noise, "
        f"{formats.number(noise.margin, 3)}, {noise_text(noise)}"
    )


def noise_text(noise: Noise) -> str:
    """Where the noise comes from."""
    configurations = f"{formats.count(noise.num_configurations)} repeated configuration"
    return (
        f"the least significant difference of two trials (t test, 5 %) at sd {formats.number(noise.sd, 3)}, "
        f"pooled over {formats.count(noise.num_trials)} complete trials of "
        f"{configurations}{'' if noise.num_configurations == 1 else 's'}"
    )
