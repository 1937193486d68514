"""Commands as processes of a test: what they print as it comes, and none left at the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest


@contextmanager
def running(*arguments: str, environment: Mapping[str, str], is_mixed: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A command of Caviar that is killed at the end if it still runs.

    Args:
        arguments: Command and options.
        environment: Of the process.
        is_mixed: Whether errors come with the output instead of apart from it.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "caviar.cli", *arguments],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if is_mixed else subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read lines of a process until one holds the text."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if text in line:
            return
    pytest.fail(f"the command ended without saying {text!r}; it said:\n" + "".join(said))
