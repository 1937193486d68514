"""Every package has tests, and every test can be found and can fail."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.repository import PACKAGES, ROOT, files, python_files, relative

MARKS_THAT_HIDE = {"skip", "skipif", "xfail"}
MAY_WAIT = ("tests/e2e/", "tests/browser/", "tests/chaos/")


def _rooms() -> list[str]:
    """Packages and, where a package has none below it, the package itself."""
    found = []
    for package in PACKAGES:
        below = sorted(path.parent for path in (ROOT / package).glob("*/__init__.py"))
        found += [relative(path) for path in below] or [package]
    return found


@pytest.mark.parametrize("room", _rooms())
def test_every_package_has_tests(room: str) -> None:
    package, _, below = room.partition("/")
    folder = ROOT / "tests" / package
    candidates = [path for path in files(folder) if path.name.startswith("test_") and path.suffix == ".py"]
    if below:
        imported = room.replace("/", ".")
        candidates = [path for path in candidates if below in path.parts or _imports(path, imported)]
    assert sum(len(_tests(path)) for path in candidates) > 0, f"no test below tests/{package} imports {room}"


def test_no_test_is_skipped() -> None:
    hidden = [
        f"{relative(path)}:{node.lineno}"
        for path in python_files()
        if path.is_relative_to(ROOT / "tests")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute) and (node.attr in MARKS_THAT_HIDE or node.attr == "importorskip")
        and ast.unparse(node).startswith("pytest.")
    ]  # fmt: skip
    assert not hidden


def test_only_tests_with_real_processes_wait_for_the_clock() -> None:
    waiting = [
        f"{relative(path)}:{node.lineno}"
        for path in python_files()
        if path.is_relative_to(ROOT / "tests") and not relative(path).startswith(MAY_WAIT)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
    ]
    assert not waiting


def test_every_test_file_holds_tests() -> None:
    empty = [relative(path) for path in python_files() if path.name.startswith("test_") and not _tests(path)]
    assert not empty


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _tests(path: Path) -> list[str]:
    functions = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    machines = [
        target.id
        for node in _tree(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.startswith("Test")
    ]
    return [function.name for function in functions if function.name.startswith("test_")] + machines


def _imports(path: Path, module: str) -> bool:
    for node in ast.walk(_tree(path)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        if any(name == module or name.startswith(f"{module}.") for name in names):
            return True
    return False
