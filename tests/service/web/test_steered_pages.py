"""Pages of studies that a person has steered: imports, edited ranges, rounds by hand, trials that pause."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from tests.service.web.trials import SPACE, ScriptedWorker

PARAMS: dict[str, Any] = {"learning_rate": 0.01, "units": 32, "optimizer": "sgd"}


def test_imported_trials_are_told_apart(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("warm")
    worker.post("/studies/warm/trials:import", {"items": [{"params": PARAMS, "value": 0.25}]})
    (running,) = worker.claim()
    worker.report(running, 0.5)
    worker.finish(running)
    html = browser.get("/studies/warm").text
    assert "and 1 imported" in html
    # One of its own ten has ended, in no time at all.
    assert '<p class="figure">1<span class="of"> of 10</span></p>' in html
    assert " left</p>" in html
    assert "<small>imported</small>" in html
    assert "<b>1</b> of 10" in browser.get("/").text
    trial = worker.http.get("/api/v1/studies/warm/trials").json()["items"][0]
    assert "It was imported with its results." in browser.get(f"/trials/{trial['trial_id']}").text


def test_rounds_are_shown_after_the_space_was_edited(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("rounds", strategy={"kind": "coarse_to_fine"})
    windows = {"learning_rate": {"low": 0.001, "high": 0.1}, "optimizer": {"weights": {"adam": 1}}}
    worker.post("/studies/rounds/rounds", {"windows": windows})
    html = browser.get("/studies/rounds/zoom").text
    assert "from trial 0, set by hand" in html
    assert "adam 100%, sgd 0%" in html
    space = SPACE | {
        "learning_rate": {"type": "float", "low": 0.01, "high": 1.0, "scale": "log"},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam", "nadam"]},
        "depth": {"type": "int", "low": 1, "high": 4},
    }
    assert worker.http.patch("/api/v1/studies/rounds", json={"space": space}).status_code == 200
    edited = browser.get("/studies/rounds/zoom")
    assert edited.status_code == 200
    assert 'aria-label="0.0 % to 50.0 %"' in edited.text
    assert "adam 33%" in edited.text


def test_decisions_are_shown_with_their_grounds(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("pausing", pruner={"kind": "asha", "min_resource": 1, "reduction_factor": 2})
    (trial,) = worker.claim()
    worker.report(trial, 0.5)
    html = browser.get(f"/trials/{trial['trial_id']}").text
    assert "at epoch 1, and may go on" in html
    assert '<span class="decision pause">paused</span></td><td class="grounds">asha, rung 1: 0.5 is the first' in html
