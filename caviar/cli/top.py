"""`caviar top`: a study, or all of them, live in the terminal."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from caviar.cli import formats, options
from caviar.cli.console import Line, out, piled
from caviar.cli.progress import num_finished, study_progress
from caviar.cli.screen import overview, parts, study_screen
from caviar.cli.screen.looking import MAX_RUNNING, Look, Looker
from caviar.client import Client
from caviar.contract.errors import CaviarError, Unavailable
from caviar.contract.states import TrialState
from caviar.contract.views import StudyView

_MAX_ROWS = 500
_ROWS_IN_FILES = 100
_UNLIMITED = 10_000
# Events say when to look; between them, this often, for what no event tells of.
_POLL_S = 3.0
_LEAST_PAUSE_S = 0.5
_RETRY_S = 5.0
_PATIENCE_S = 60.0


def top(
    study: Annotated[
        str, typer.Argument(metavar="[STUDY]", show_default=False, help="Name of the study. Default: all studies.")
    ] = "",
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it as it is now, and end.")] = False,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows", min=1, max=_MAX_ROWS, show_default=False, help="Trials to show. Default: what fits the terminal."
        ),
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Watch a study: its leaderboard, what is running, the best value so far. Ends with the study.

    Without STUDY, watch the list of all studies until Ctrl+C.
    """
    console = out()
    with Client(url, token) as client:
        if not study:
            _all(client, console, is_live=console.is_terminal and not once, rows=rows)
            return
        looker = Looker(client, study)
        if once:
            console.print(_plain(looker.look(rows or _ROWS_IN_FILES), console, rows), soft_wrap=True)
            return
        bell = _Bell(url, token, study)
        client.study(study)
        try:
            bell.start()
            if console.is_terminal:
                _watch(looker, bell, console, rows)
            else:
                _list(client, study, bell, console)
        finally:
            bell.stop()


class _Alarm:
    """Ends a wait. The handler of a signal may ring it: that of an event of `threading` could wait for itself."""

    def __init__(self) -> None:
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring(self) -> None:
        """End the wait that is, or else the next one."""
        self._rings.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until somebody rings, for so long at most."""
        with suppress(queue.Empty):
            self._rings.get(timeout=seconds)

    def clear(self) -> None:
        """Forget who has rung."""
        with suppress(queue.Empty):
            while True:
                self._rings.get_nowait()


class _Bell:
    """Rings when something happens in a study or the terminal is resized; without events, it only never rings."""

    def __init__(self, url: str | None, token: str | None, study: str) -> None:
        self._address = (url, token)
        self._study = study
        self._alarm = _Alarm()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        # A thread that waits for bytes cannot be woken; as a daemon it does not hold up the end.
        self._stopped.set()

    def ring(self) -> None:
        self._alarm.ring()

    def wait(self, seconds: float) -> None:
        self._alarm.wait(seconds)
        time.sleep(_LEAST_PAUSE_S)
        self._alarm.clear()

    def _listen(self) -> None:
        with Client(*self._address) as client:
            while not self._stopped.is_set():
                try:
                    for _ in client.events(self._study):
                        self._alarm.ring()
                        if self._stopped.is_set():
                            return
                except CaviarError:
                    # The watcher polls meanwhile, and it is the one to say what is wrong.
                    self._stopped.wait(_RETRY_S)


@contextmanager
def _on_resize(call: Callable[[], None]) -> Iterator[None]:
    """Call a function whenever the terminal gets another size."""
    former = signal.signal(signal.SIGWINCH, lambda *_: call())
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, former)


def _watch(looker: Looker, bell: _Bell, console: Console, rows: int | None) -> None:
    look, seen = looker.look(rows or study_screen.board_rows(console)), time.monotonic()
    with (
        Live(study_screen.draw(look, console), console=console, auto_refresh=False, screen=True) as live,
        _on_resize(bell.ring),
    ):
        while not look.study.state.is_finished:
            bell.wait(_POLL_S)
            try:
                look, seen = looker.look(rows or study_screen.board_rows(console)), time.monotonic()
                live.update(study_screen.draw(look, console), refresh=True)
            except Unavailable as error:
                away_s = time.monotonic() - seen
                if away_s > _PATIENCE_S:
                    raise
                note = Line(f"no answer for {formats.duration(away_s)}: {error.detail}", style="red", no_wrap=True)
                live.update(study_screen.draw(look, console, note=note), refresh=True)
    # The screen goes as it came; what was reached stays.
    console.print(_plain(look, console, rows or study_screen.board_rows(console)), soft_wrap=True)


def _list(client: Client, name: str, bell: _Bell, console: Console) -> None:
    with study_progress(console) as progress:
        while True:
            study = client.study(name)
            progress.show(study)
            if study.state.is_finished:
                return
            bell.wait(_POLL_S)


def _all(client: Client, console: Console, *, is_live: bool, rows: int | None) -> None:
    num = rows or (console.height - 2 if is_live else _MAX_ROWS)
    if not is_live:
        for line in overview.screen(overview.look(client, num), console.width):
            console.print(line, soft_wrap=True)
        return
    studies = overview.look(client, num)
    resized = _Alarm()
    with (
        Live(console=console, auto_refresh=False, screen=True) as live,
        _on_resize(resized.ring),
    ):
        while True:
            shown = overview.screen(studies, console.width)[: console.height - 1]
            live.update(Group(*shown), refresh=True)
            resized.wait(_POLL_S)
            resized.clear()
            studies = overview.look(client, rows or console.height - 2)


def _plain(look: Look, console: Console, rows: int | None) -> RenderableType:
    """The study as text that stays: for files, and for what a terminal shows at the end."""
    # A file has no width, so nothing is left out of it.
    width = console.width if console.is_terminal or "COLUMNS" in os.environ else _UNLIMITED
    board = parts.board(look, width, rows or _MAX_ROWS)
    running = parts.running(look, width, MAX_RUNNING)
    return Group(_headline(look), Line(), *board, *([Line(), *running] if running else []))


def _headline(look: Look) -> Text:
    study = look.study
    of = "" if study.budget.max_trials is None else f"/{study.budget.max_trials}"
    facts = [f"{num_finished(study)}{of} trials finished", f"{study.num_epochs} epochs"]
    facts += [f"{study.counts[state]} {state}" for state in TrialState if study.counts.get(state)]
    facts += [f"{study.num_imported} of them imported"] if study.num_imported else []
    facts += [] if study.round is None else [f"round {study.round}"]
    facts.append(formats.duration(_lasted_s(study)))
    facts += [] if study.seconds_left is None else [f"about {formats.duration(study.seconds_left)} left"]
    text = Line.assemble((study.name, "bold"), f" is {study.state}: ", ", ".join(facts))
    more: list[Text] = []
    if study.num_able_workers == 0:
        more.append(Line("no connected worker can take its trials now", "yellow"))
    if study.best is not None:
        reached = Line.assemble(f"best {study.metric.name} ", (formats.number(study.best.value), "bold green"))
        reached.append(f" by trial {study.best.number} at epoch {study.best.epoch}  ")
        more.append(reached.append(formats.sparkline([item.value for item in look.history.items])))
    return piled([text, *more])


def _lasted_s(study: StudyView) -> float:
    return ((study.ended_at or study.updated_at) - study.created_at).total_seconds()
