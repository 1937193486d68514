"""The page of rungs."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient

from tests.service.web.trials import ScriptedWorker

ASHA = {"kind": "asha", "min_resource": 1, "reduction_factor": 2}


def test_rungs_show_who_went_on(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("rungs", pruner=ASHA, budget={"max_trials": 10, "max_epochs": 4})
    for value, trial in zip((0.4, 0.3, 0.9), worker.claim(3), strict=True):
        worker.report(trial, value)
    html = browser.get("/studies/rungs/rungs").text
    assert "ASHA: at each rung about one trial of 2 goes on; the others wait" in html
    assert "3 came, 1 may go on" in html
    assert "<b>1</b> in training, <b>2</b> waiting" in html
    widths = [float(width) for width in re.findall(r'class="(?:running|paused)" x="[^"]*" width="([^"]*)"', html)]
    assert sum(widths) > 999
    assert "is number 3 of 3 that came here" in html
    # Better values stand further left.
    running = re.search(r'class="dots running" d="M(\d+)', html)
    paused = re.search(r'class="dots paused" d="M(\d+)', html)
    assert running
    assert paused
    assert int(running.group(1)) < int(paused.group(1))
    assert browser.get("/studies/rungs/fragments/rungs").text.strip() in html


def test_every_bracket_has_rungs_of_its_own(browser: TestClient, worker: ScriptedWorker) -> None:
    pruner = {"kind": "hyperband", "min_resource": 1, "reduction_factor": 2}
    worker.submit("brackets", pruner=pruner, budget={"max_trials": 10, "max_epochs": 4})
    html = browser.get("/studies/brackets/rungs").text
    assert re.findall(r'<h2 id="bracket-\d">Bracket (\d)</h2>', html) == ["0", "1", "2"]
    assert "trained without a rung" in html


def test_without_rungs_there_is_a_list_of_stops(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("limit", pruner={"kind": "threshold", "upper": 0.5})
    assert "has stopped no trial yet" in browser.get("/studies/limit/rungs").text
    good, bad = worker.claim(2)
    worker.report(good, 0.4)
    worker.report(bad, 0.75)
    html = browser.get("/studies/limit/rungs").text
    assert "The pruner threshold has no rungs" in html
    assert "1 of 2 trials were stopped" in html
    assert "0.75 is above the limit 0.5" in html


def test_a_study_that_stops_nobody_says_so(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("none")
    assert "its pruner is <code>none</code>" in browser.get("/studies/none/rungs").text
