"""The same seed proposes the same configurations, whoever trains them and whatever is restarted in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.books import digits_study
from tests.e2e.processes import Site, site
from tests.e2e.scripted import ScriptedWorker, train_with

_NUM_TRIALS = 24


def _study(strategy: str) -> dict[str, Any]:
    budget = {"max_trials": _NUM_TRIALS, "max_epochs": 3}
    space = {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
        "beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "1-beta", "when": {"optimizer": ["adam"]}},
        "units": {"type": "int", "low": 16, "high": 64, "scale": "log"},
    }
    return digits_study("same", strategy={"kind": strategy}, space=space, budget=budget, seed=11)


def _proposals(here: Site) -> list[Any]:
    return [trial.params for trial in here.client.trials("same")]


@pytest.mark.parametrize("strategy", ["random", "quasi_random", "grid"])
def test_the_list_is_the_same_for_one_worker_four_workers_and_after_a_restart(tmp_path: Path, strategy: str) -> None:
    # Every worker measures other values: what is measured, by whom and when, must not matter.
    lists = []
    for case, (num_workers, is_restarted) in enumerate([(1, False), (4, False), (4, True)]):
        folder = tmp_path / str(case)
        folder.mkdir()
        with site(folder) as here:
            here.client.create_study(_study(strategy))
            if is_restarted:
                train_with(here, num_workers, limit=_NUM_TRIALS // 2 // num_workers)
                here.service.kill()
                here.start_service()
            train_with(here, num_workers, limit=_NUM_TRIALS)
            lists.append(_proposals(here))
    assert len(lists[0]) == _NUM_TRIALS
    assert lists[0] == lists[1] == lists[2]


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
