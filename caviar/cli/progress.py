"""How far a study is: a bar in a terminal, lines in a file."""

from __future__ import annotations

from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from caviar.cli import formats
from caviar.cli.console import say
from caviar.contract.states import TrialState
from caviar.contract.views import StudyView
from caviar.showing import visible

_UNFINISHED = (TrialState.WAITING, TrialState.RUNNING, TrialState.PAUSED)


class StudyProgress(Protocol):
    """Shows a study again and again as it goes on."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *exception: object) -> None:
        """Leave the last state on the screen."""

    def show(self, study: StudyView) -> None:
        """Show where the study stands now."""


def study_progress(console: Console) -> StudyProgress:
    """What fits the console: a bar that moves, or a line per change."""
    return _Bar(console) if console.is_terminal else _Lines(console)


def num_finished(study: StudyView) -> int:
    """Trials of the study's own that will not run again."""
    ended = sum(count for state, count in study.counts.items() if state not in _UNFINISHED)
    return ended - study.num_imported


def summary(study: StudyView) -> str:
    """Best value and running trials, on one line."""
    parts = []
    if study.best is not None:
        parts.append(f"best {study.metric.name} {formats.number(study.best.value)} (trial {study.best.number})")
    parts += [f"{study.counts[state]} {state}" for state in _UNFINISHED if study.counts.get(state)]
    return ", ".join(parts) or "nothing has been trained yet"


class _Bar:
    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("trials"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[summary]}", markup=False),
            console=console,
        )
        self._task = self._progress.add_task("waiting", total=None, summary="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def show(self, study: StudyView) -> None:
        finished = num_finished(study)
        total = finished if study.state.is_finished else study.budget.max_trials
        self._progress.update(
            self._task,
            description=visible(f"{study.name} {study.state}"),
            completed=finished,
            total=total,
            summary=visible(summary(study)),
        )


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[object, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, study: StudyView) -> None:
        finished = num_finished(study)
        if (study.state, finished) != self._last:
            self._last = (study.state, finished)
            of = "" if study.budget.max_trials is None else f" of {study.budget.max_trials}"
            say(f"{study.name} {study.state}: {finished}{of} trials finished, {summary(study)}", self._console)
