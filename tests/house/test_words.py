"""The repository speaks of Caviar alone, and of nothing left undone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.repository import relative, texts

# Written in pieces, so that this file does not hold what it forbids.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.$}~-])/(?:" + "|".join(["work", "root", "opt/wheels", "opt/py" + "pi"]) + r")/",
    "a home folder": r"(?<![\w.])/(?:home|Users)/[a-z]",
    "the address of a package registry": "|".join(
        re.escape(part.replace(" ", ""))
        for part in ["py pi.org", "python hosted.org", "npm js.", "crates .io", "deb .debian.org", "golang .org"]
    ),
    "something left undone": r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b",
    "a conflict left by a merge": r"^(?:<{7}|>{7}) ",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = [f"{relative(path)}: {match.group()!r}" for path, text in texts() for match in pattern.finditer(text)]
    assert not found, f"holds {what}"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of one machine", "cp /ro" + "ot/x ."),
        ("a home folder", "see /ho" + "me/ann/notes"),
        ("the address of a package registry", "https://py" + "pi.org/simple"),
        ("something left undone", "# TO" + "DO: later"),
        ("a conflict left by a merge", "<" * 7 + " HEAD"),
    ],
)
def test_would_be_found(what: str, line: str) -> None:
    assert re.search(FORBIDDEN[what], line, re.MULTILINE)


def test_text_files_end_with_a_line_end_and_hold_no_carriage_returns() -> None:
    broken = [
        relative(path)
        for path, text in texts()
        if text and (not text.endswith("\n") or "\r" in text) and not _is_generated(path)
    ]
    assert not broken


def _is_generated(path: Path) -> bool:
    return path.suffix in {".csv", ".json", ".svg"}
