"""Tables of trials."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caviar.cli import formats
from caviar.cli.console import Line
from caviar.contract.ranking import Leaderboard, LeaderboardRow
from caviar.contract.space import Space
from caviar.contract.states import TrialState
from caviar.contract.views import TrialView

_COLOURS = {
    TrialState.WAITING: "dim",
    TrialState.RUNNING: "cyan",
    TrialState.PAUSED: "yellow",
    TrialState.COMPLETE: "green",
    TrialState.PRUNED: "dim",
    TrialState.FAILED: "red",
    TrialState.CANCELLED: "dim",
}
_UNLIMITED = 10_000


def leaderboard_table(board: Leaderboard, space: Space, console: Console, title: str = "") -> Table:
    """The trials of a leaderboard with their configurations.

    Args:
        board: The trials.
        space: Of their study.
        console: Where it will be shown; if the parameters do not fit side by side, they share one column.
        title: Above the table.
    """
    table = _head(board.metric.name, space.names, title)
    for row in board.items:
        params = [formats.param(row.params[name]) if name in row.params else "" for name in space.names]
        table.add_row(*_facts(row), *params)
    if console.measure(table, options=console.options.update(max_width=_UNLIMITED)).maximum <= console.width:
        return table
    table = _head(board.metric.name, ["params"], title)
    for row in board.items:
        table.add_row(*_facts(row), Line(formats.configuration(row.params)))
    return table


def _head(metric: str, params: Sequence[str], title: str) -> Table:
    table = Table(title=Line(title) if title else None, title_justify="left", title_style="bold")
    for heading in ("rank", "trial"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column(Line(metric), justify="right", no_wrap=True, style="bold")
    for heading in ("epoch", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in params:
        table.add_column(Line(name), justify="right" if len(params) > 1 else "left", no_wrap=True, overflow="ellipsis")
    return table


def _facts(row: LeaderboardRow) -> list[Text]:
    return [
        Line(str(row.rank or "")),
        Line(str(row.number)),
        _state(row),
        Line(formats.number(row.value)),
        Line(_epochs(row)),
        Line(formats.duration(row.duration_s)),
    ]


def running_table(trials: Sequence[TrialView], metric: str) -> Table:
    """The trials that are trained at this moment."""
    table = Table(title="running now", title_justify="left", title_style="bold")
    table.add_column("trial", justify="right")
    table.add_column("epoch", justify="right")
    table.add_column(Line(f"best {metric}"), justify="right")
    table.add_column("worker")
    table.add_column("params", no_wrap=True, overflow="ellipsis")
    for trial in trials:
        table.add_row(
            str(trial.number),
            f"{trial.num_epochs}/{trial.max_epochs}",
            formats.number(trial.value),
            Line(trial.worker or ""),
            Line(formats.configuration(trial.params)),
        )
    return table


def _state(trial: TrialView) -> Text:
    is_told = trial.stop_reason is None or trial.stop_reason.value == trial.state.value
    reason = "" if is_told else f" ({trial.stop_reason})"
    return Line(f"{trial.state}{reason}", style=_COLOURS[trial.state])


def _epochs(trial: TrialView) -> str:
    best = "" if trial.best_epoch is None else f"{trial.best_epoch} of "
    return f"{best}{trial.num_epochs}"
