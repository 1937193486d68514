"""The script for SLURM, run as the batch shell of a job whose `srun` and `scancel` are programs of this test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from caviar.contract.states import AttemptEnd
from tests.e2e.books import check_complete, digits_study, entries, num_epochs
from tests.e2e.processes import TOKEN, Site, site, until

_DEADLINE_S = 180.0
_SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "slurm" / "caviar-worker.sbatch"

# Starts the tasks as SLURM's does: side by side, each with its number; SIGTERM kills them, as it does there.
_SRUN = """#!/usr/bin/env bash
set -u
while [[ "$1" == --* ]]; do shift; done
trap 'kill -KILL "${tasks[@]}"; exit 143' TERM
tasks=()
for number in $(seq 0 $((SLURM_NTASKS - 1))); do
    SLURM_PROCID=$number SLURM_CPUS_PER_TASK=$SRUN_CPUS_PER_TASK "$@" &
    tasks+=($!)
done
echo "${tasks[@]}" > "$FAKE_TASKS"
status=0
for task in "${tasks[@]}"; do wait "$task" || status=$?; done
exit "$status"
"""
_SCANCEL = """#!/usr/bin/env bash
set -eu
[[ "$1" == --signal=TERM && "$2" == "$SLURM_JOB_ID" ]]
kill -TERM $(cat "$FAKE_TASKS")
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with what a node of SLURM has in its path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    caviar = f'#!/usr/bin/env bash\nexec {sys.executable} -m caviar.cli "$@"\n'
    for name, text in {"srun": _SRUN, "scancel": _SCANCEL, "caviar": caviar}.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


class Job:
    """A batch job of one node."""

    def __init__(self, here: Site, programs: Path, *, num_tasks: int) -> None:
        self.log = here.folder / "job.log"
        environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CAVIAR_HOME": str(here.folder / "home"),
            "CAVIAR_URL": here.url,
            "CAVIAR_TOKEN": TOKEN,
            "CAVIAR_CLAIM_WAIT_S": "0.5",
            "SLURM_JOB_ID": "4711",
            "SLURM_NTASKS": str(num_tasks),
            "SLURM_CPUS_PER_TASK": "1",
            "FAKE_TASKS": str(here.folder / "tasks"),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([_SCRIPT], env=environment, stdout=log, stderr=log, start_new_session=True)

    def end(self) -> None:
        """See to it that nothing of it is left."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, lease_ttl_s=60.0) as made:
        yield made


@pytest.fixture
def job(here: Site, programs: Path) -> Iterator[Job]:
    """Two tasks, started when the study is there."""
    here.client.create_study(digits_study("slurm", budget={"max_trials": 4, "max_epochs": 20}, retries=0))
    started = Job(here, programs, num_tasks=2)
    yield started
    started.end()


def _ends(here: Site) -> list[AttemptEnd | None]:
    return [a.end for t in here.client.trials("slurm") for a in here.client.trial(t.trial_id).attempts]


def test_a_job_ends_with_the_work(here: Site, job: Job) -> None:
    assert job.process.wait(_DEADLINE_S) == 0, job.log.read_text()
    check_complete(here.client, "slurm", {})
    names = {worker.name.split("-", 1)[1] for worker in here.client.workers().items}
    assert {name.split("4711-")[1] for name in names} == {"0", "1"}


def test_a_job_hands_its_trials_back_before_the_time_limit(here: Site, job: Job, programs: Path) -> None:
    until(lambda: num_epochs(here.client, "slurm") >= 2, deadline_s=_DEADLINE_S, what="some epochs")
    acknowledged = entries(here.client, "slurm")
    job.process.terminate()
    assert job.process.wait(_DEADLINE_S) == 0, job.log.read_text()
    assert set(_ends(here)) <= {AttemptEnd.RELEASED, AttemptEnd.FINISHED}
    assert AttemptEnd.RELEASED in _ends(here)
    again = Job(here, programs, num_tasks=1)
    assert again.process.wait(_DEADLINE_S) == 0, again.log.read_text()
    check_complete(here.client, "slurm", acknowledged)


def test_a_job_without_an_address_says_so() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CAVIAR_URL"}
    done = subprocess.run([_SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "CAVIAR_URL is not set" in done.stderr
