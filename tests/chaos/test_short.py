"""A short run on each database: every kind of fault happens at least once, and every promise is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.disk import can_mount
from tests.house.repository import ROOT

_TIMEOUT_S = 550
# One of them with a real worker, whose training processes take their time to start; the other with two services.
_OPTIONS = {"sqlite": ("--real", "1"), "postgres": ("--real", "0", "--services", "2")}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(_TIMEOUT_S + 20)]


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_every_promise_is_kept(database: str, tmp_path: Path) -> None:
    options = ["--database", database, "--minutes", "0.25", "--workers", "6", "--epoch-s", "0.2", *_OPTIONS[database]]
    # Where nobody may mount a file system, as in some containers, the disk cannot be filled.
    options += [] if can_mount() else ["--without", "disk_filled"]
    report = tmp_path / "report"
    with report.open("w") as output:
        command = [sys.executable, "-m", "tests.chaos", *options, "--seed", "11"]
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, timeout=_TIMEOUT_S, check=False)
    told = report.read_text(encoding="utf-8")
    assert done.returncode == 0, told[-8000:]
    assert "every promise was kept" in told
