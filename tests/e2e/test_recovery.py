"""The database is lost under load; what was backed up while workers reported goes on elsewhere, on either kind."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest

from caviar.contract.errors import CaviarError
from caviar.contract.messages import Assignment, Claim, Finish, Measurement, RegisterWorker, Report
from caviar.contract.states import Decision, Outcome, StudyState, TrialState
from tests.e2e.books import Entry, entries, num_epochs
from tests.e2e.processes import TOKEN, Site, site, until
from tests.postgres import PostgresServer
from worker.api import WorkerApi

_DEADLINE_S = 120.0
_NUM_WORKERS = 3
_NUM_TRIALS = 18
_NUM_EPOCHS = 20
# So that the few trials are not all trained before the backup is done.
_PACE_S = 0.2
_STUDY = {
    "name": "recovered",
    "objective": {"name": "scripted"},
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "strategy": {"kind": "random"},
    "pruner": {"kind": "none"},
    "early_stopping": None,
    "budget": {"max_trials": _NUM_TRIALS, "max_epochs": _NUM_EPOCHS},
    "retries": 0,
}

pytestmark = pytest.mark.slow


class _Diarist:
    """A worker that writes down each epoch that was acknowledged, and trains until it is told to stop."""

    def __init__(self, url: str, name: str, *, pace_s: float = 0.0) -> None:
        self.diary: dict[Entry, float] = {}
        self._http = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        self._api = WorkerApi(self._http)
        body = RegisterWorker.model_validate({"name": name, "host": "here", "objectives": [{"name": "scripted"}]})
        self._id = self._api.register(body).worker_id
        self._is_over = threading.Event()
        self._pace_s = pace_s
        self.held: Assignment | None = None
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._http.close()

    def _run(self) -> None:
        num_claims = 0
        # Whatever the service's death does to a request, this worker only notices that it is over.
        try:
            while not self._is_over.is_set():
                num_claims += 1
                claimed = self._api.claim(self._id, Claim(request_id=f"{self._id}-{num_claims}", wait_s=1.0))
                for assignment in claimed.assigned:
                    self.held = assignment
                    self._train(assignment)
        except (CaviarError, httpx2.HTTPError):
            return

    def _train(self, trial: Assignment) -> None:
        for epoch in range(trial.first_epoch, trial.max_epochs + 1):
            if self._is_over.wait(self._pace_s):
                return
            value = 1.0 / epoch + trial.trial_id / 7
            item: dict[str, Any] = {
                "trial_id": trial.trial_id,
                "lease": trial.lease,
                "epoch": epoch,
                "elapsed_s": 0.1 * epoch,
                "metrics": {"val_loss": value},
            }
            answer = self._api.report(Report(items=[Measurement.model_validate(item)]))
            self.diary[(trial.trial_id, trial.attempt, epoch)] = value
            if answer.decisions[0].decision is not Decision.CONTINUE:
                return
        self._api.finish(trial.trial_id, Finish(lease=trial.lease, outcome=Outcome.COMPLETE))


def _caviar(*arguments: str) -> None:
    command = [sys.executable, "-m", "caviar.cli", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_DEADLINE_S)
    assert done.returncode == 0, done.stdout + done.stderr


def _diaries(workers: list[_Diarist]) -> dict[Entry, float]:
    return {entry: value for worker in workers for entry, value in list(worker.diary.items())}


def _lose(here: Site, backup: Path, database_url: str) -> tuple[dict[Entry, float], list[_Diarist]]:
    """Train, back up under load, train on, and kill; what was acknowledged before the backup began, and the workers."""
    workers = [_Diarist(here.url, f"first-{number}", pace_s=_PACE_S) for number in range(_NUM_WORKERS)]
    here.client.create_study(_STUDY)
    for worker in workers:
        worker.start()
    until(lambda: num_epochs(here.client, "recovered") > 30, deadline_s=_DEADLINE_S, what="30 epochs")
    before = _diaries(workers)
    artifacts = str(here.folder / "artifacts")
    _caviar("db", "backup", str(backup), "--with-artifacts", "--database", database_url, "--artifacts", artifacts)
    reached = len(_diaries(workers))
    until(lambda: len(_diaries(workers)) > reached + 10, deadline_s=_DEADLINE_S, what="epochs after the backup")
    here.service.kill()
    for worker in workers:
        worker.end()
    return before, workers


def _go_on(here: Site, before: dict[Entry, float], old: list[_Diarist]) -> None:
    stored = {entry: metrics["val_loss"] for entry, metrics in entries(here.client, "recovered").items()}
    assert before.items() <= stored.items(), "an epoch that was acknowledged before the backup is missing"
    diaries = _diaries(old)
    assert all(diaries.get(entry, value) == value for entry, value in stored.items())
    with httpx2.Client(base_url=here.url, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        for worker in old:
            assert worker.held is not None
            answer = http.post(
                f"/api/v1/trials/{worker.held.trial_id}:finish",
                json={"lease": worker.held.lease, "outcome": "complete"},
            )
            # The trial may be one that the backup has as ended, or that it does not know.
            assert answer.status_code in (200, 404, 410)
    successors = [_Diarist(here.url, f"second-{number}") for number in range(_NUM_WORKERS)]
    for worker in successors:
        worker.start()
    until(lambda: here.client.study("recovered").state.is_finished, deadline_s=_DEADLINE_S, what="the end of the study")
    for worker in successors:
        worker.end()
    _check(here, before | _diaries(successors))


def _check(here: Site, acknowledged: dict[Entry, float]) -> None:
    study = here.client.study("recovered")
    assert (study.state, study.counts) == (StudyState.COMPLETE, {TrialState.COMPLETE: _NUM_TRIALS})
    stored = {entry: metrics["val_loss"] for entry, metrics in entries(here.client, "recovered").items()}
    assert acknowledged.items() <= stored.items()
    assert len(stored) == study.num_epochs
    for trial in here.client.trials("recovered"):
        curve = here.client.measurements(trial.trial_id).items
        assert [item.epoch for item in curve] == list(range(1, _NUM_EPOCHS + 1))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("sqlite", "sqlite"),
        pytest.param("sqlite", "postgres", marks=pytest.mark.postgres),
        pytest.param("postgres", "postgres", marks=pytest.mark.postgres),
    ],
)
def test_a_lost_service_goes_on_elsewhere(
    tmp_path: Path, postgres_server: PostgresServer, source: str, target: str
) -> None:
    def address(kind: str, name: str) -> str:
        name = f"recovery_{source}_{target}_{name}"
        return f"sqlite:///{tmp_path / name}.db" if kind == "sqlite" else postgres_server.create_database(name)

    backup, first = tmp_path / "backup", address(source, "first")
    with site(tmp_path / "old", database_url=first, lease_ttl_s=30.0) as here:
        before, old = _lose(here, backup, first)
    assert len(before) > 20
    _caviar("db", "verify", str(backup))
    second = address(target, "second")
    _caviar("db", "restore", str(backup), "--database", second, "--artifacts", str(tmp_path / "new" / "artifacts"))
    with site(tmp_path / "new", database_url=second, lease_ttl_s=30.0) as here:
        _go_on(here, before, old)


def test_a_backup_that_is_killed_is_none(tmp_path: Path) -> None:
    with site(tmp_path / "old") as here:
        script = (
            "import os, signal, sys\n"
            "from service.store.copies import folder\n"
            "folder._sync = lambda place: os.kill(os.getpid(), signal.SIGKILL)\n"
            "from caviar.cli import app\n"
            "sys.argv = ['caviar', *sys.argv[1:]]\n"
            "app()\n"
        )
        database = f"sqlite:///{here.folder / 'caviar.db'}"
        command = [sys.executable, "-c", script, "db", "backup", str(tmp_path / "backup"), "--database", database]
        assert subprocess.run(command, check=False, timeout=_DEADLINE_S).returncode == -9
        assert not (tmp_path / "backup").exists()
        (rest,) = tmp_path.glob(".backup.partial-*")
        assert (rest / "caviar.db").exists()
        _caviar("db", "backup", str(tmp_path / "backup"), "--database", database)
        _caviar("db", "verify", str(tmp_path / "backup"))
