"""No file and no function grows until nobody wants to read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.repository import PACKAGES, ROOT, files, python_files, relative

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
SCRIPTS_AND_STYLES = {".css", ".html", ".js"}
# Each step is one list of changes that a tool wrote.
STEPS_OF_THE_DATABASE = "service/store/migrations/versions/"
VAGUE_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}


def test_no_file_is_too_long() -> None:
    sources = python_files() + [
        path for package in PACKAGES for path in files(ROOT / package) if path.suffix in SCRIPTS_AND_STYLES
    ]
    assert len(sources) > 20
    too_long = {
        relative(path): lines
        for path in sources
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    }
    assert not too_long, f"split these: more than {MAX_FILE_LINES} lines"


def test_no_function_is_too_long() -> None:
    too_long = [
        f"{relative(path)}:{function.lineno} {function.name}: {lines} lines"
        for path in python_files()
        if not relative(path).startswith(STEPS_OF_THE_DATABASE)
        for function in _functions(path)
        if (lines := (function.end_lineno or function.lineno) - function.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert not too_long, f"split these: more than {MAX_FUNCTION_LINES} lines"


def test_modules_are_named_after_what_they_hold() -> None:
    vague = [relative(path) for path in python_files() if VAGUE_NAMES & {path.stem, *path.relative_to(ROOT).parts}]
    assert not vague


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
