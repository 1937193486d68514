"""What processes print, as it comes."""

from __future__ import annotations

import subprocess

import pytest


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read lines of a process until one holds the text."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if text in line:
            return
    pytest.fail(f"the command ended without saying {text!r}; it said:\n" + "".join(said))
