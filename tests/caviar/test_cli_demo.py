"""The demo, from an empty machine to the table of the best trials."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from caviar.cli.demo import demo_study
from caviar.client.bodies import checked
from caviar.contract.study import StudySpec
from tests.caviar.processes import read_until, running

_EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.yaml"
_PACKAGED = Path(__file__).parents[2] / "caviar" / "cli" / "demo_study.yaml"


def _demo(folder: Path, *options: str) -> AbstractContextManager[subprocess.Popen[str]]:
    environment = os.environ | {
        "TMPDIR": str(folder),
        "CAVIAR_HOME": str(folder / "mine"),
        "CAVIAR_URL": "http://x.test",
    }
    return running("demo", *options, environment=environment, is_mixed=False)


def test_study_is_the_example() -> None:
    assert _PACKAGED.read_text() == _EXAMPLE.read_text(), "copy examples/digits.yaml to caviar/cli/demo_study.yaml"
    study = demo_study()
    assert study.name == "digits-mlp"
    assert checked(StudySpec, study.model_dump(exclude_unset=True)) == study


@pytest.mark.slow
def test_trains_the_study_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        said, complained = demo.communicate(timeout=280)
    assert demo.returncode == 0, said + complained
    assert complained == ""
    assert re.search(r"The leaderboard: http://127\.0\.0\.1:\d+/login\?token=\S+", said)
    assert "The best 10 of 28 trials of digits-mlp" in said
    best = re.search(r"best val_loss (\S+) by trial \d+$", said.strip())
    assert best is not None
    assert float(best.group(1)) < 0.15
    assert list(tmp_path.iterdir()) == []


def test_that_runs_out_of_time_fails_and_shows_the_logs(tmp_path: Path) -> None:
    with _demo(tmp_path, "--timeout-s", "1", "--workers", "1") as demo:
        said, complained = demo.communicate(timeout=120)
    assert demo.returncode == 1
    assert "is not finished after 1 s" in complained
    for log in ("service.log", "worker-1.log"):
        assert f"/logs/{log}:" in complained
    assert "Uvicorn running" in complained
    assert "Traceback" not in complained
    [kept] = tmp_path.iterdir()
    assert f"are kept in {kept}" in said
    shutil.rmtree(kept)


def test_that_is_interrupted_ends_its_processes_and_removes_its_files(tmp_path: Path) -> None:
    with _demo(tmp_path, "--workers", "1") as demo:
        read_until(demo, "The leaderboard")
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) >= 2
        demo.send_signal(signal.SIGTERM)
        _, complained = demo.communicate(timeout=120)
    assert demo.returncode == 128 + signal.SIGTERM
    assert complained == ""
    assert not [child for child in children if child.is_running()]
    assert list(tmp_path.iterdir()) == []
