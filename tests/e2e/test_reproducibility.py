"""The same seed proposes the same configurations, whoever trains them and whatever is restarted in between."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx2

from caviar.contract.messages import Assignment, Claim, Finish, Measurement, RegisterWorker, Report
from caviar.contract.states import Outcome
from tests.e2e.books import digits_study
from tests.e2e.processes import TOKEN, Site, site
from worker.api import WorkerApi

_NUM_TRIALS = 24


class ScriptedWorker:
    """Speaks the worker wire to a real service, and makes up its curves instead of training."""

    def __init__(self, url: str, name: str, *, flavour: int = 0) -> None:
        self._http = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"})
        self._api = WorkerApi(self._http)
        body = RegisterWorker.model_validate({"name": name, "host": "here", "objectives": [{"name": "mlp"}]})
        self._id = self._api.register(body).worker_id
        self._num_claims = 0
        self._flavour = flavour

    def train(self, limit: int) -> int:
        """Train trials until there are none or the limit is reached; returns how many."""
        for done in range(limit):
            self._num_claims += 1
            claimed = self._api.claim(self._id, Claim(request_id=f"{self._id}-{self._num_claims}"))
            if not claimed.assigned:
                return done
            self._train_one(claimed.assigned[0])
        return limit

    def _train_one(self, trial: Assignment) -> None:
        for epoch in range(trial.first_epoch, trial.max_epochs + 1):
            item: dict[str, Any] = {"trial_id": trial.trial_id, "lease": trial.lease, "epoch": epoch, "elapsed_s": 0.1}
            item["metrics"] = {"val_loss": 1.0 / epoch + (trial.number * 31 + self._flavour * 17) % 97 / 97}
            self._api.report(Report(items=[Measurement.model_validate(item)]))
        self._api.finish(trial.trial_id, Finish(lease=trial.lease, outcome=Outcome.COMPLETE))

    def close(self) -> None:
        """Hang up."""
        self._http.close()


def _study(strategy: str) -> dict[str, Any]:
    budget = {"max_trials": _NUM_TRIALS, "max_epochs": 3}
    space = {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
        "beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "1-beta", "when": {"optimizer": ["adam"]}},
        "units": {"type": "int", "low": 16, "high": 64, "scale": "log"},
    }
    return digits_study("same", strategy={"kind": strategy}, space=space, budget=budget, seed=11)


def _train_with(here: Site, num_workers: int, limit: int = _NUM_TRIALS) -> None:
    # Every worker measures other values: what is measured, by whom and when, must not matter.
    workers = [ScriptedWorker(here.url, f"scripted-{i}", flavour=i) for i in range(num_workers)]
    threads = [threading.Thread(target=worker.train, args=(limit,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in workers:
        worker.close()


def _proposals(here: Site) -> list[Any]:
    return [trial.params for trial in here.client.trials("same")]


def test_random_proposes_the_same_list_for_one_worker_four_workers_and_after_a_restart(tmp_path: Path) -> None:
    lists = []
    for case, (num_workers, is_restarted) in enumerate([(1, False), (4, False), (1, True), (4, True)]):
        folder = tmp_path / str(case)
        folder.mkdir()
        with site(folder) as here:
            here.client.create_study(_study("random"))
            if is_restarted:
                _train_with(here, num_workers, limit=_NUM_TRIALS // 2 // num_workers)
                here.service.kill()
                here.start_service()
            _train_with(here, num_workers)
            lists.append(_proposals(here))
    assert len(lists[0]) == _NUM_TRIALS
    assert lists[0] == lists[1] == lists[2] == lists[3]


def test_coarse_to_fine_with_one_worker_goes_on_after_a_restart_as_without_one(tmp_path: Path) -> None:
    lists = []
    for case, is_restarted in enumerate([False, True]):
        folder = tmp_path / str(case)
        folder.mkdir()
        with site(folder) as here:
            here.client.create_study(_study("coarse_to_fine"))
            worker = ScriptedWorker(here.url, "scripted")
            if is_restarted:
                worker.train(_NUM_TRIALS * 2 // 3)
                here.service.kill()
                here.start_service()
            worker.train(_NUM_TRIALS)
            worker.close()
            lists.append(_proposals(here))
    assert len(lists[0]) == _NUM_TRIALS
    assert lists[0] == lists[1]
