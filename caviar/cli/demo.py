"""`caviar demo`: the whole of Caviar on this machine, on a small study of real data."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from caviar.cli import formats, machine, study_file
from caviar.cli.children import Children, Interrupted
from caviar.cli.console import CommandFailed, out, say
from caviar.cli.progress import study_progress
from caviar.cli.tables import leaderboard_table
from caviar.cli.token import login_link
from caviar.client import Client
from caviar.client.bodies import checked
from caviar.client.connection import Clock
from caviar.contract.errors import CaviarError
from caviar.contract.states import StudyState
from caviar.contract.study import StudySpec
from caviar.contract.views import StudyView

_STUDY = "demo_study.yaml"
_NUM_BEST = 10
_LOG_LINES = 8
_LOG_WIDTH = 400
_POLL_S = 0.5
_LINGER_LOOK_S = 1.0


def demo(
    *,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Worker processes.")] = 2,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1, max=65535, show_default=False, help="Port of the service. Default: one that is free."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database and the logs.")] = False,
    linger: Annotated[bool, typer.Option("--linger", help="Keep the service up at the end, until Ctrl-C.")] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout-s", min=1, metavar="SECONDS", help="Give up after this time.")
    ] = 1800,
) -> None:
    """Train the example study with a service and workers of its own, and show the best trials.

    Nothing of it touches your other studies: database, token and port are its own.
    """
    port = port or machine.free_port()
    machine.check_port(machine.DEFAULT_HOST, port)
    folder = Path(tempfile.mkdtemp(prefix="caviar-demo-"))
    is_kept = keep
    try:
        _Demo(folder, out(), port).run(workers, timeout_s, linger=linger)
    except Interrupted as interruption:
        raise typer.Exit(128 + interruption.signal) from interruption
    except (CaviarError, CommandFailed) as error:
        is_kept = True
        refused = [f"  {one.field}: {one.expected}" for one in getattr(error, "errors", ())]
        raise CommandFailed(error.detail, more=[*refused, *_ends_of_logs(folder / "logs")]) from error
    finally:
        if is_kept:
            say(f"the database and the logs are kept in {folder}")
        else:
            shutil.rmtree(folder)


class _Demo:
    def __init__(self, folder: Path, console: Console, port: int) -> None:
        self._folder = folder
        self._console = console
        self._port = port
        self._token = secrets.token_urlsafe(32)
        self._logs = folder / "logs"
        self._logs.mkdir()

    def run(self, num_workers: int, timeout_s: float, *, linger: bool) -> None:
        url = machine.local_url(machine.DEFAULT_HOST, self._port)
        with Children() as children, Client(url, self._token, clock=Clock(sleep=children.pause)) as client:
            self._start(children, client, num_workers)
            self._say(f"The leaderboard: {login_link(url, self._token)}")
            study = self._train(client, timeout_s)
            self._show_result(client, study)
            if linger:
                self._say(f"The service stays up until Ctrl-C: {login_link(url, self._token)}")
                self._linger(children)

    def _start(self, children: Children, client: Client, num_workers: int) -> None:
        environment = self._environment()
        database = f"sqlite:///{self._folder / 'caviar.db'}"
        machine.start_service(
            children,
            client,
            ["--database", database, "--port", str(self._port)],
            environment=environment,
            log=self._logs / "service.log",
        )
        machine.start_workers(
            children,
            client.url,
            num_workers,
            ["--devices", "cpu", "--cpu-slots", "1", "--threads-per-slot", "1"],
            environment=environment,
            log_folder=self._logs,
        )

    def _environment(self) -> dict[str, str]:
        # The user's own settings are for the user's own service.
        own = {name: value for name, value in machine.inherited().items() if not name.startswith("CAVIAR_")}
        return machine.with_token(
            own | {"CAVIAR_HOME": str(self._folder / "home"), "CAVIAR_CLAIM_WAIT_S": "1"}, self._token
        )

    def _train(self, client: Client, timeout_s: float) -> StudyView:
        spec = demo_study()
        client.create_study(spec)
        try:
            with study_progress(self._console) as progress:
                study = client.wait(spec.name, timeout_s, poll_s=_POLL_S, on_view=progress.show)
        except TimeoutError as error:
            raise CommandFailed(f"{error}; a slow machine may need a longer --timeout-s") from error
        if study.state is not StudyState.COMPLETE or study.best is None:
            raise CommandFailed(f"the study is {study.state} and its best trial is {study.best}")
        return study

    def _show_result(self, client: Client, study: StudyView) -> None:
        board = client.leaderboard(study.name, limit=_NUM_BEST)
        title = f"The best {len(board.items)} of {board.total} trials of {study.name}"
        self._console.print(leaderboard_table(board, study.space, self._console, title))
        if study.best is not None and study.ended_at is not None:
            took = formats.duration((study.ended_at - study.created_at).total_seconds())
            self._say(
                f"Complete after {took} and {study.num_epochs} epochs: best {study.metric.name} "
                f"{formats.number(study.best.value)} by trial {study.best.number}"
            )

    @staticmethod
    def _linger(children: Children) -> None:
        try:
            while True:
                children.pause(_LINGER_LOOK_S)
        except Interrupted:
            # The study is complete: how long people look at it does not change the result.
            return

    def _say(self, text: str) -> None:
        say(text, self._console)


def _ends_of_logs(folder: Path) -> list[str]:
    parts = []
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        parts += [f"The end of {log}:", *(f"  {line[:_LOG_WIDTH]}" for line in lines)]
    return parts


def demo_study() -> StudySpec:
    """The study of the demo, which is also an example: examples/digits.yaml."""
    text = resources.files("caviar.cli").joinpath(_STUDY).read_text(encoding="utf-8")
    return checked(StudySpec, study_file.parse(text, _STUDY))
