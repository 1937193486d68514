"""`caviar top`: a study or all of them, on terminals of any size and in files."""

from __future__ import annotations

import codecs
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from caviar import Client
from caviar.cli import app
from caviar.cli.screen import overview, study_screen
from caviar.cli.screen.looking import MAX_RUNNING, Look, Looker
from tests.caviar.trainer import TOKEN, ServiceProcess, Trainer, study

DEADLINE_S = 60.0
SIZES = [(60, 20), (80, 24), (120, 40), (160, 50), (250, 80)]
SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
    "beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log", "when": {"optimizer": ["adam"]}},
    "units": {"type": "int", "low": 16, "high": 64},
}


@pytest.fixture
def busy(client: Client, trainer: Trainer) -> str:
    """A study with rounds, thirty ended trials and three in training."""
    budget = {"max_trials": 60, "max_epochs": 9}
    client.create_study(study("busy", space=SPACE, strategy={"kind": "coarse_to_fine"}, budget=budget))
    for value in range(30):
        trainer.train([0.9, 0.5 - value / 100])
    for position, trial in enumerate(trainer.claim(3)):
        trainer.report(trial, [0.8, 0.7, 0.6][: position + 1])
    return "busy"


@pytest.fixture
def look(client: Client, busy: str) -> Look:
    return Looker(client, busy).look(60)


def rendered(lines: Any, width: int, height: int) -> list[str]:
    """Lines as a terminal of a size shows them, without styles."""
    console = Console(file=io.StringIO(), record=True, width=width, height=height, force_terminal=True)
    console.print(*lines, sep="\n")
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_screen_fits_its_terminal(look: Look, width: int, height: int) -> None:
    shown = rendered(study_screen.screen(look, width, height), width, height)
    assert len(shown) <= height
    assert max(map(len, shown)) <= width
    text = "\n".join(shown)
    assert text.startswith("busy is running")
    assert "30/60 trials finished" in text
    assert "best val_loss 0.21 by trial 29 at epoch 2" in text
    assert "running now" in text
    assert re.search(r"^★ +29 +0\.21 ", text, re.MULTILINE)
    assert "1 connected, 3 of 8 slots in training" in text


def test_more_room_shows_more(look: Look) -> None:
    texts = {
        width: "\n".join(rendered(study_screen.screen(look, width, height), width, height)) for width, height in SIZES
    }
    assert "optimizer" not in texts[60]
    assert "beta_1" in texts[120]
    assert "round " in texts[120].splitlines()[0]
    assert re.search(r"learning_rate +[─━●]{20,}", texts[250]), "the window of the newest round"
    ranked = [len(re.findall(r"complete \(", text)) for text in texts.values()]
    assert ranked == sorted(ranked)


def test_parameters_have_bars_on_their_scale(look: Look) -> None:
    text = "\n".join(rendered(study_screen.screen(look, 250, 80), 250, 80))
    [row] = re.findall(r"^★ .*$", text, re.MULTILINE)
    best = look.study.best
    assert best is not None
    eighths = round(look.study.space["learning_rate"].to_unit(best.params["learning_rate"]) * 48)
    bar = "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
    assert f" {bar}·" in row


def test_colours_are_left_out_where_they_are_not_wanted(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    written = {}
    for name in ("", "1"):
        monkeypatch.setenv("NO_COLOR", name)
        console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True)
        console.print(*study_screen.screen(look, 120, 40))
        assert isinstance(console.file, io.StringIO)
        written[name] = console.file.getvalue()
    assert re.search(r"\x1b\[[0-9;]*3[1-7]m", written[""])
    assert not re.search(r"\x1b\[[0-9;]*[349][0-7]m", written["1"])


class Counting:
    """A client that counts what it is asked for."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*args: Any, **options: Any) -> Any:
            self.asked.append(name)
            return getattr(self.client, name)(*args, **options)

        return ask


def test_it_asks_only_for_what_it_shows_and_what_has_changed(client: Client, trainer: Trainer, busy: str) -> None:
    counting = Counting(client)
    looker = Looker(counting, busy)  # type: ignore[arg-type]  # It has the methods of a client.
    first = looker.look(7)
    assert len(first.board.items) == 7
    assert len(first.running) == 3
    assert len(first.running) <= MAX_RUNNING
    assert counting.asked.count("measurements") == 3
    counting.asked.clear()
    again = looker.look(7)
    assert again.curves == first.curves
    assert sorted(counting.asked) == ["leaderboard", "leaderboard", "study", "workers"]


def test_the_pace_is_that_of_the_last_minute(client: Client, trainer: Trainer, busy: str) -> None:
    times = iter([0.0, 10.0, 100.0])
    looker = Looker(client, busy, clock=lambda: next(times))
    assert looker.look(3).pace is None
    trainer.train([0.9, 0.8])
    assert looker.look(3).pace == pytest.approx(0.2)
    assert looker.look(3).pace == 0.0


def test_a_study_without_trials_has_a_screen(client: Client) -> None:
    client.create_study(study("empty"))
    look = Looker(client, "empty").look(10)
    text = "\n".join(rendered(study_screen.screen(look, 80, 24), 80, 24))
    assert "0/3 trials finished" in text
    assert "no trial has finished an epoch yet" in text
    assert "no worker is connected" in text


@pytest.mark.parametrize("width", [36, 120, 250])
def test_all_studies_have_a_line_each(client: Client, busy: str, width: int) -> None:
    client.create_study(study("over", budget={"max_trials": None, "max_epochs": 2, "max_seconds": 1000.0}))
    client.stop("over")
    shown = rendered(overview.screen(overview.look(client, 10), width), width, 24)
    assert max(map(len, shown)) <= width
    assert [line.split()[0] for line in shown] == ["study", "busy", "over"], "those that go on come first"
    assert ("30/60" in shown[1]) == (width > 36)
    assert ("strategy" in shown[0]) == (width >= 120)
    assert overview.screen([], width)[0].plain.startswith("no study yet")


# The commands themselves, against a service on its own port.


@pytest.fixture
def served(service: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of the service, on which the test leaves nothing behind."""
    monkeypatch.setenv("CAVIAR_URL", service.url)
    monkeypatch.setenv("CAVIAR_TOKEN", TOKEN)
    with Client(service.url, TOKEN) as client:
        yield client
        for left in list(client.studies()):
            client.delete_study(left.name)


def test_without_a_study_files_get_the_list_once(served: Client) -> None:
    served.create_study(study("one"))
    result = CliRunner().invoke(app, ["top"])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["study", "one"]


def test_files_get_all_columns(served: Client, remote_trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    more = {f"units_{i}": {"type": "int", "low": 16, "high": 64} for i in range(10, 22)}
    served.create_study(study("wide", space=SPACE | more, budget={"max_trials": 2, "max_epochs": 2}))
    remote_trainer.train([0.5])
    result = CliRunner().invoke(app, ["top", "wide", "--once"])
    assert all(name in result.stdout for name in more)
    assert "\x1b" not in result.stdout


class Terminal:
    """A command on a terminal of a size."""

    def __init__(self, *arguments: str, folder: Path, width: int, height: int) -> None:
        self._leader, follower = pty.openpty()
        self._resize(follower, width, height)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        environment |= {"TERM": "xterm-256color", "CAVIAR_HOME": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "caviar.cli", *arguments],
            env=environment,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        # What is read at once may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.seen = ""

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size, as a window does."""
        self._resize(self._leader, width, height)
        self.process.send_signal(signal.SIGWINCH)

    @staticmethod
    def _resize(terminal: int, width: int, height: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read_until(self, is_enough: Callable[[str], bool]) -> str:
        """Read until what has come since the call is enough, and return it."""
        start, end = len(self.seen), time.monotonic() + DEADLINE_S
        while not is_enough(self.seen[start:]):
            ready, _, _ = select.select([self._leader], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"the terminal showed nothing more; it showed:\n{self.seen}"
            self.seen += self._decoder.decode(os.read(self._leader, 65536))
        return self.seen[start:]

    def close(self) -> None:
        """End the command."""
        self.process.kill()
        self.process.wait()
        os.close(self._leader)


def widest(written: str) -> int:
    """Characters of the longest line of what was written to a terminal."""
    # Going home begins a line as well.
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.replace("\x1b[H", "\n")).splitlines()
    return max(map(len, lines))


@pytest.mark.parametrize(("width", "height"), [(60, 20), (200, 50)])
def test_a_terminal_is_followed_through_its_sizes(
    served: Client, remote_trainer: Trainer, tmp_path: Path, width: int, height: int
) -> None:
    served.create_study(study("sized", space=SPACE, budget={"max_trials": 40, "max_epochs": 2}))
    for value in range(5):
        remote_trainer.train([0.9, 0.5 - value / 100])
    terminal = Terminal("top", "sized", "--url", served.url, folder=tmp_path, width=width, height=height)
    try:
        first = terminal.read_until(lambda text: " connected" in text)
        assert "\x1b[?1049h" in first, "it has a screen of its own"
        assert widest(first) <= width
        terminal.resize(100, 30)
        remote_trainer.train([0.4, 0.01])

        def is_anew(text: str) -> bool:
            frame = text.rpartition("\x1b[H")[2]
            is_whole = "0.01" in frame and " connected" in frame
            # A frame of the former size may still have been on its way.
            return is_whole and widest(frame) <= 100 and "beta_1" in frame

        terminal.read_until(is_anew)
    finally:
        terminal.close()


def test_all_studies_are_followed_until_they_are_left(served: Client, tmp_path: Path) -> None:
    served.create_study(study("first"))
    terminal = Terminal("top", "--url", served.url, folder=tmp_path, width=90, height=24)
    try:
        terminal.read_until(lambda text: "first" in text)
        served.create_study(study("second"))
        terminal.read_until(lambda text: "second" in text)
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until(lambda text: "\x1b[?1049l" in text)
        assert terminal.process.wait(timeout=DEADLINE_S) in (1, 130)
        assert "Traceback" not in terminal.seen
    finally:
        terminal.close()
