"""`caviar top`: a study, live in the terminal."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from caviar.cli import formats, options
from caviar.cli.console import out
from caviar.cli.progress import num_finished, study_progress
from caviar.cli.tables import leaderboard_table, running_table
from caviar.client import Client
from caviar.contract.errors import CaviarError, Unavailable
from caviar.contract.states import TrialState
from caviar.contract.views import Leaderboard, StudyView, TrialView

_MAX_RUNNING = 16
_PAGE = 500
# Events say when to look; between them, this often, for what no event tells of.
_POLL_S = 3.0
_LEAST_PAUSE_S = 0.3
_RETRY_S = 5.0
_PATIENCE_S = 60.0
_LINES_AROUND = 12
_LEAST_ROWS = 5


def top(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")],
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it as it is now, and end.")] = False,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows", min=1, max=_PAGE, show_default=False, help="Trials to show. Default: what fits the terminal."
        ),
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Watch a study: its leaderboard, what is running, the best value so far. Ends with the study."""
    console = out()
    with Client(url, token) as client:
        if once:
            console.print(_drawn(_look(client, study), console, rows))
            return
        _look(client, study)
        bell = _Bell(url, token, study)
        try:
            bell.start()
            if console.is_terminal:
                _watch(client, study, bell, console, rows)
            else:
                _list(client, study, bell, console)
        finally:
            bell.stop()


@dataclass(frozen=True)
class _Frame:
    study: StudyView
    board: Leaderboard
    running: list[TrialView]


class _Bell:
    """Rings when something happens in a study; without events, it only never rings."""

    def __init__(self, url: str | None, token: str | None, study: str) -> None:
        self._address = (url, token)
        self._study = study
        self._rung = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        # A thread that waits for bytes cannot be woken; as a daemon it does not hold up the end.
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        self._rung.wait(seconds)
        time.sleep(_LEAST_PAUSE_S)
        self._rung.clear()

    def _listen(self) -> None:
        with Client(*self._address) as client:
            while not self._stopped.is_set():
                try:
                    for _ in client.events(self._study):
                        self._rung.set()
                        if self._stopped.is_set():
                            return
                except CaviarError:
                    # The watcher polls meanwhile, and it is the one to say what is wrong.
                    self._stopped.wait(_RETRY_S)


def _watch(client: Client, name: str, bell: _Bell, console: Console, rows: int | None) -> None:
    frame, seen = _look(client, name), time.monotonic()
    with Live(_drawn(frame, console, rows), console=console, auto_refresh=False) as live:
        while not frame.study.state.is_finished:
            bell.wait(_POLL_S)
            try:
                frame, seen = _look(client, name), time.monotonic()
                live.update(_drawn(frame, console, rows), refresh=True)
            except Unavailable as error:
                away_s = time.monotonic() - seen
                if away_s > _PATIENCE_S:
                    raise
                note = Text(f"no answer for {formats.duration(away_s)}: {error.detail}", style="red")
                live.update(Group(_drawn(frame, console, rows), note), refresh=True)


def _list(client: Client, name: str, bell: _Bell, console: Console) -> None:
    with study_progress(console) as progress:
        while True:
            study = client.study(name)
            progress.show(study)
            if study.state.is_finished:
                return
            bell.wait(_POLL_S)


def _look(client: Client, name: str) -> _Frame:
    study = client.study(name)
    board = client.leaderboard(name, limit=_PAGE)
    running: list[TrialView] = [row for row in board.items if row.state is TrialState.RUNNING]
    if len(running) < study.counts.get(TrialState.RUNNING, 0) and board.next_after is not None:
        running += _elsewhere(client, name, {row.trial_id for row in board.items})
    return _Frame(study, board, sorted(running, key=lambda trial: trial.number)[:_MAX_RUNNING])


def _elsewhere(client: Client, name: str, known: set[int]) -> list[TrialView]:
    """Running trials that are too far down the leaderboard to be on its first page."""
    held = [trial_id for worker in client.workers().items for trial_id in worker.running if trial_id not in known]
    trials = [client.trial(trial_id) for trial_id in held[:_MAX_RUNNING]]
    return [trial for trial in trials if trial.study == name]


def _drawn(frame: _Frame, console: Console, rows: int | None) -> RenderableType:
    room = console.height - _LINES_AROUND - len(frame.running) if console.is_terminal else len(frame.board.items)
    shown = frame.board.items[: rows or max(room, _LEAST_ROWS)]
    table = leaderboard_table(frame.board.model_copy(update={"items": shown}), frame.study.space, console)
    parts: list[RenderableType] = [_headline(frame), table]
    if frame.running:
        parts.append(running_table(frame.running, frame.study.metric.name))
    return Group(*parts)


def _headline(frame: _Frame) -> Text:
    study = frame.study
    of = "" if study.budget.max_trials is None else f"/{study.budget.max_trials}"
    facts = [f"{num_finished(study)}{of} trials finished", f"{study.num_epochs} epochs"]
    facts += [f"{study.counts[state]} {state}" for state in TrialState if study.counts.get(state)]
    facts += [f"{study.num_imported} of them imported"] if study.num_imported else []
    facts += [] if study.round is None else [f"round {study.round}"]
    ended_at = study.ended_at or study.updated_at
    facts.append(formats.duration((ended_at - study.created_at).total_seconds()))
    facts += [] if study.seconds_left is None else [f"about {formats.duration(study.seconds_left)} left"]
    text = Text.assemble((study.name, "bold"), f" is {study.state}: ", ", ".join(facts))
    if study.num_able_workers == 0:
        text.append("\nno connected worker can take its trials now", style="yellow")
    if study.best is not None:
        text.append(f"\nbest {study.metric.name} ")
        text.append(formats.number(study.best.value), style="bold green")
        text.append(f" by trial {study.best.number} at epoch {study.best.epoch}  {_progress_of_best(frame)}")
    return text


def _progress_of_best(frame: _Frame) -> str:
    """The best value so far over the numbers of the trials, as a small chart."""
    best: list[float] = []
    for row in sorted(frame.board.items, key=lambda item: item.number):
        if row.value is not None:
            is_better = not best or frame.study.metric.better(row.value, best[-1])
            best.append(row.value if is_better else best[-1])
    return formats.sparkline(best)
