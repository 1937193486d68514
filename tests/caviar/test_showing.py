"""Texts of others on a terminal: they are shown and do nothing."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from starlette.testclient import TestClient
from typer.testing import CliRunner

from caviar import Client
from caviar.cli import app, top, workers
from caviar.cli.console import Line
from caviar.showing import show, visible, visible_lines
from tests.caviar.trainer import TOKEN, study

HOSTILE = "[red]a\x1b[2J\x1b]0;owned\x07\x9b31m\u202eb\nc\u2028[link=http://x.example]d:bomb:"
SHOWN = r"[red]a\x1b[2J\x1b]0;owned\x07\x9b31m\u202eb\nc\u2028[link=http://x.example]d:bomb:"
_STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_COMMANDS = Path(__file__).parents[2] / "caviar" / "cli"


def test_what_steers_a_terminal_becomes_an_escape() -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible("\ud800 \U000e0067\r\t") == r"\ud800 \U000e0067\r\t"
    assert visible_lines("a\n\tb\x1b\r\n") == "a\n\tb\\x1b\\r\n"


@pytest.mark.parametrize(
    "text", ["", "Zürich – 99 %", "ひらがな", "\U0001f468\u200d\U0001f469", "می\u200cخواهم", "e\u0301"]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_a_line_is_no_markup_however_it_is_made() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=300)
    for line in (Line(HOSTILE), Line().append(HOSTILE), Line.assemble(HOSTILE)):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"{SHOWN}\n" * 3


def test_log_lines_for_people_are_visible() -> None:
    told = show(None, "info", {"event": HOSTILE, "exception": f"a\n{HOSTILE}", "number": 1})
    assert told == {"event": SHOWN, "exception": "a\n" + visible_lines(HOSTILE), "number": 1}


def test_commands_show_the_names_of_others_and_do_nothing_else(
    client: Client, application: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (workers, top):
        monkeypatch.setattr(module, "Client", lambda _url, _token: client)
    application.headers["Authorization"] = f"Bearer {TOKEN}"
    offer = {
        "name": HOSTILE, "host": HOSTILE, "labels": {HOSTILE: HOSTILE}, "devices": [{"kind": "gpu", "name": HOSTILE}],
        "objectives": [{"name": "own"}],
    }  # fmt: skip
    worker_id = application.post("/api/v1/workers", json=offer).raise_for_status().json()["worker_id"]
    space = {"kind": {"type": "categorical", "choices": [HOSTILE, HOSTILE + "."]}}
    client.create_study(study("named", objective={"name": "own"}, space=space))
    claim = {"request_id": "once", "max_trials": 2}
    assert application.post(f"/api/v1/workers/{worker_id}:claim", json=claim).json()["assigned"]
    commands = (["workers"], ["workers", "pause", HOSTILE], ["workers", "pause", "none"], ["top", "named", "--once"])
    for arguments in commands:
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "2000"})
        assert SHOWN in result.output, arguments
        assert not _STEERING.search(result.output), arguments


def _is_beside_the_line(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name.endswith(".print"):
        return any(isinstance(given, (ast.JoinedStr, ast.Constant)) for given in call.args)
    return name in ("Text", "Text.assemble", "typer.echo", "print")


def test_commands_make_no_text_in_another_way() -> None:
    calls = [
        (path.name, node)
        for path in _COMMANDS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and path.name != "console.py"
    ]
    assert not [(name, call.lineno) for name, call in calls if _is_beside_the_line(call)]
