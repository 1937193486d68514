"""The files of this repository, as the checks of the house see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("caviar", "service", "worker")
PYTHON_FOLDERS = (*PACKAGES, "tests", "benchmarks", "examples", "scripts")

_MADE_BY_TOOLS = {
    ".git", ".hypothesis", ".import_linter_cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv",
    "__pycache__", "build", "dist", "htmlcov", "shared",
}  # fmt: skip


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Every file that a person wrote, or that is kept beside what they wrote."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _MADE_BY_TOOLS)
        for name in sorted(names):
            if not name.startswith(".coverage") and not name.endswith(".pyc") and name != ".env":
                yield Path(place, name)


def python_files() -> list[Path]:
    """Every Python file, those of tests included."""
    return [path for folder in PYTHON_FOLDERS for path in files(ROOT / folder) if path.suffix == ".py"]


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file with its content; pictures and the like are passed over."""
    for path in files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def relative(path: Path) -> str:
    """The path as a reader of a failed test wants to see it."""
    return str(path.relative_to(ROOT))
