"""The page of one trial: its place, its story, and what can be done with it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from tests.service.web.trials import SPACE, ScriptedWorker

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
ADAM = {"learning_rate": 0.01, "beta_1": 0.99, "units": 64, "optimizer": "adam"}


def plain(html: str) -> str:
    """A page with its thin spaces as usual ones, on one line."""
    return re.sub(r"\s+", " ", html)


def enqueued(worker: ScriptedWorker, study: str, **params: Any) -> dict[str, Any]:
    """A hand-made trial in training."""
    worker.post(f"/studies/{study}/trials", {"params": ADAM | params})
    [trial] = worker.claim()
    return trial


@pytest.fixture
def trials(worker: ScriptedWorker) -> list[dict[str, Any]]:
    """Four trials of the live study `digits`: complete ones of 0.5, 0.3 and 0.3 again, and one in training."""
    worker.submit("digits")
    made = []
    for value, rate in ((0.5, 0.01), (0.3, 0.02), (0.3, 0.01)):
        trial = enqueued(worker, "digits", learning_rate=rate)
        worker.report(trial, value + 0.1, value)
        worker.finish(trial)
        made.append(trial)
    return [*made, enqueued(worker, "digits", learning_rate=0.04)]


def page(browser: TestClient, trial: dict[str, Any], query: str = "") -> str:
    answer = browser.get(f"/trials/{trial['trial_id']}{query}")
    assert answer.status_code == 200, answer.text
    return plain(answer.text)


def links(html: str) -> dict[str, str]:
    """Numbers of the trials beside the shown one, by what the link says."""
    return dict(re.findall(r'aria-label="(Trial before|Trial after|Next better|Next worse): trial (\d+)"', html))


def test_rank_distance_and_neighbours_are_told(browser: TestClient, trials: list[dict[str, Any]]) -> None:
    first, best, tied, running = (page(browser, trial) for trial in trials)
    assert '3<span class="of"> of 3</span>' in first
    assert '<span class="nowrap">+0.2</span> to <a' in first
    assert links(first) == {"Trial after": "1", "Next better": "2"}
    assert "best of the study" in best
    assert links(best) == {"Trial before": "0", "Trial after": "2", "Next worse": "2"}
    assert links(tied) == {"Trial before": "1", "Trial after": "3", "Next better": "1", "Next worse": "0"}
    assert links(running) == {"Trial before": "2"}


def test_rank_follows_the_direction(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("up", metric={"name": "val_loss", "direction": "maximize"})
    for units in (64, 32):
        worker.post("/studies/up/trials", {"params": ADAM | {"units": units}})
    low, high = worker.claim(2)
    worker.report(low, 0.1)
    worker.report(high, 0.9)
    html = page(browser, low)
    assert '2<span class="of"> of 2</span>' in html
    assert links(html) == {"Trial after": "1", "Next better": "1"}
    assert '<span class="nowrap">−0.8</span>' in html


def test_repeats_are_linked(browser: TestClient, trials: list[dict[str, Any]]) -> None:
    html = page(browser, trials[0])
    assert f'<dt>Same configuration</dt><dd><a href="/trials/{trials[2]["trial_id"]}">#2</a> 0.3</dd>' in html
    assert "Same configuration" not in page(browser, trials[1])


def test_the_story_of_attempts_tells_who_holds_the_lease(
    browser: TestClient, worker: ScriptedWorker, trials: list[dict[str, Any]]
) -> None:
    running = trials[3]
    html = page(browser, running)
    assert "box-1 holds the lease of attempt 1 until <time" in html
    assert '<span class="ending">is in training</span>' in html
    assert "from epoch 1, none reported" in html
    worker.report(running, 0.9, 0.8, 0.7)
    worker.post(f"/trials/{running['trial_id']}:release", {"lease": running["lease"]})
    html = page(browser, running)
    assert "holds the lease" not in html
    assert "was given back by its worker, which is not charged" in html
    assert "<span>epochs 1–3</span>" in html


def test_a_configuration_can_be_copied(browser: TestClient, trials: list[dict[str, Any]]) -> None:
    html = browser.get(f"/trials/{trials[0]['trial_id']}").text
    texts = dict(re.findall(r'aria-label="The configuration as (\w+)">(.*?)</pre>', html, re.DOTALL))
    unescaped = {name: text.replace("&#34;", '"').replace("&#39;", "'") for name, text in texts.items()}
    assert list(texts) == ["YAML", "JSON", "Python", "Keras"]
    assert yaml.safe_load(unescaped["YAML"]) == ADAM
    assert json.loads(unescaped["JSON"]) == ADAM
    scope: dict[str, Any] = {}
    exec(unescaped["Python"], scope)
    assert scope["params"] == ADAM
    program = browser.get(f"/api/v1/trials/{trials[0]['trial_id']}/snippet")
    assert program.headers["content-type"].startswith("text/x-python")
    assert program.text.strip() == unescaped["Keras"].strip()
    exec(program.text, scope)
    assert scope["config"] == {}
    assert scope["rebuilt"](lambda params: params) == ADAM


def test_an_ended_trial_of_a_live_study_runs_again_itself(browser: TestClient, trials: list[dict[str, Any]]) -> None:
    path = f"/trials/{trials[1]['trial_id']}"
    answer = browser.post(f"{path}/again", headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?did=retried")
    assert "to run once more, from its first epoch" in page(browser, trials[1], "?did=retried")


def test_a_running_trial_runs_again_as_a_new_one(
    browser: TestClient, worker: ScriptedWorker, trials: list[dict[str, Any]]
) -> None:
    answer = browser.post(f"/trials/{trials[3]['trial_id']}/again", headers=SAME_ORIGIN)
    assert answer.status_code == 303
    made = worker.http.get("/api/v1/studies/digits/trials").json()["items"][-1]
    assert answer.headers["location"] == f"/trials/{made['trial_id']}?did=enqueued"
    assert (made["number"], made["params"]) == (4, trials[3]["params"])


def test_after_the_end_of_a_study_a_clone_begins_with_the_configuration(
    browser: TestClient, worker: ScriptedWorker, trials: list[dict[str, Any]]
) -> None:
    worker.post("/studies/digits:stop", {})
    path = f"/trials/{trials[1]['trial_id']}"
    assert 'value="digits-2"' in page(browser, trials[1])
    taken = browser.post(f"{path}/again", data={"name": "digits no"}, headers=SAME_ORIGIN)
    assert taken.status_code == 422
    assert 'id="clone-problem"' in taken.text
    assert 'value="digits no"' in taken.text
    answer = browser.post(f"{path}/again", data={"name": "digits-2"}, headers=SAME_ORIGIN)
    assert answer.status_code == 303
    made = worker.http.get("/api/v1/studies/digits-2/trials").json()["items"]
    assert [one["params"] for one in made] == [trials[1]["params"]]
    assert answer.headers["location"] == f"/trials/{made[0]['trial_id']}?did=cloned"
    assert "begins with this trial" in plain(browser.get(answer.headers["location"]).text)
    worker.post("/studies", {**study_of(worker, "digits"), "name": "taken", "seed": 99})
    refused = browser.post(f"{path}/again", data={"name": "taken"}, headers=SAME_ORIGIN)
    assert refused.status_code == 409
    assert "another study has this name" in refused.text


def study_of(worker: ScriptedWorker, name: str) -> dict[str, Any]:
    """The body of a study."""
    view = worker.http.get(f"/api/v1/studies/{name}").json()
    wanted = ("objective", "metric", "space", "strategy", "pruner", "early_stopping", "budget", "retries")
    return {field: view[field] for field in wanted}


def test_a_trial_is_stopped_and_can_be_run_again(browser: TestClient, trials: list[dict[str, Any]]) -> None:
    path = f"/trials/{trials[3]['trial_id']}"
    assert "Its training ends for good" in page(browser, trials[3])
    answer = browser.post(f"{path}/stop", headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?did=stopped")
    html = page(browser, trials[3], "?did=stopped")
    assert "The trial is stopped" in html
    assert "by hand, after epoch 0" in html
    assert "Its training ends for good" not in html
    assert browser.post(f"{path}/stop").status_code == 403


def test_the_form_is_prefilled_and_enqueues_what_it_holds(
    browser: TestClient, worker: ScriptedWorker, trials: list[dict[str, Any]]
) -> None:
    path = f"/trials/{trials[0]['trial_id']}/clone"
    html = plain(browser.get(path).text)
    assert 'name="param-learning_rate" value="0.01"' in html
    assert "0.0001 … 1, log scale" in html
    assert "0.9 … 0.999, 1−x log scale; applies if optimizer is adam" in html
    assert '<option value="1" selected>adam</option>' in html
    typed = {"param-learning_rate": "0.03", "param-units": "128", "param-optimizer": "0", "param-beta_1": ""}
    answer = browser.post(path, data=typed, headers=SAME_ORIGIN)
    made = worker.http.get("/api/v1/studies/digits/trials").json()["items"][-1]
    assert (answer.status_code, answer.headers["location"]) == (303, f"/trials/{made['trial_id']}?did=enqueued")
    assert made["params"] == {"learning_rate": 0.03, "units": 128, "optimizer": "sgd"}
    assert made["origin"] == "enqueued"


@pytest.mark.parametrize(
    "case",
    [
        ("learning_rate", "7", "received 7.0, expected a number in [0.0001, 1.0]"),
        ("learning_rate", "fast", "expected a finite number"),
        ("learning_rate", "nan", "expected a number in [0.0001, 1.0]"),
        ("units", "12.5", "expected a whole number"),
        ("units", "", "expected a value: this parameter applies"),
        ("optimizer", "9", "expected one of &#39;sgd&#39;, &#39;adam&#39;"),
        ("beta_1", "", "expected a value: this parameter applies"),
    ],
)
def test_what_does_not_fit_is_told_at_its_field(
    browser: TestClient, worker: ScriptedWorker, trials: list[dict[str, Any]], case: tuple[str, str, str]
) -> None:
    field, typed, problem = case
    before = len(worker.http.get("/api/v1/studies/digits/trials").json()["items"])
    form = {"param-learning_rate": "0.01", "param-beta_1": "0.99", "param-units": "64", "param-optimizer": "1"}
    path = f"/trials/{trials[0]['trial_id']}/clone"
    answer = browser.post(path, data=form | {f"param-{field}": typed}, headers=SAME_ORIGIN)
    assert answer.status_code == 422
    [told] = re.findall(rf'id="param-{field}-problem">(.*?)</p>', answer.text)
    assert problem in told
    assert answer.text.count('aria-invalid="true"') == 1
    # A list cannot show what is none of its choices.
    assert field == "optimizer" or f'value="{typed}"' in answer.text
    assert len(worker.http.get("/api/v1/studies/digits/trials").json()["items"]) == before


def test_the_form_of_an_ended_study_leads_to_a_new_one(
    browser: TestClient, worker: ScriptedWorker, trials: list[dict[str, Any]]
) -> None:
    worker.post("/studies/digits:stop", {})
    html = browser.get(f"/trials/{trials[0]['trial_id']}/clone").text
    assert 'href="/new?from=digits"' in html
    assert "<form class" not in html.partition("<main")[2]
    form = {"param-learning_rate": "0.01", "param-beta_1": "0.99", "param-units": "64", "param-optimizer": "1"}
    answer = browser.post(f"/trials/{trials[0]['trial_id']}/clone", data=form, headers=SAME_ORIGIN)
    assert answer.status_code == 409


def test_a_value_from_before_an_edit_of_the_space_is_shown_and_not_chosen(
    browser: TestClient, worker: ScriptedWorker, trials: list[dict[str, Any]]
) -> None:
    space = SPACE | {"optimizer": {"type": "categorical", "choices": ["sgd", "nadam"]}}
    del space["beta_1"]
    assert worker.http.patch("/api/v1/studies/digits", json={"space": space}).status_code == 200
    html = page(browser, trials[0])
    assert "version 1 of the search space, 2 is in force" in html
    assert " selected" not in browser.get(f"/trials/{trials[0]['trial_id']}/clone").text


def test_tags_and_note_are_kept_and_refusals_told_at_the_form(
    browser: TestClient, trials: list[dict[str, Any]]
) -> None:
    path = f"/trials/{trials[0]['trial_id']}/annotate"
    answer = browser.post(path, data={"tags": "keep\nwhy: good", "note": "a <b>note</b>"}, headers=SAME_ORIGIN)
    assert answer.status_code == 303
    html = browser.get(answer.headers["location"]).text
    assert "keep\nwhy: good\n</textarea>" in html
    assert "a &lt;b&gt;note&lt;/b&gt;</textarea>" in html
    refused = browser.post(path, data={"tags": "twice\ntwice", "note": "kept"}, headers=SAME_ORIGIN)
    assert refused.status_code == 422
    assert "the tag &#39;twice&#39; is given twice" in refused.text
    assert 'id="notes-problem"' in refused.text
    assert ">kept</textarea>" in refused.text


def test_the_round_and_its_elite_are_told(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("rounds", strategy={"kind": "coarse_to_fine"}, budget={"max_trials": 60, "max_epochs": 1})
    for value in range(40):
        [trial] = worker.claim()
        worker.report(trial, 0.5 + value / 100)
        worker.finish(trial)
    items = worker.http.get("/api/v1/studies/rounds/trials").json()["items"]
    drawn = [one for one in items if one["round"]]
    assert drawn, "the study has come to a second round"
    html = page(browser, drawn[-1])
    elite = worker.http.get("/api/v1/studies/rounds/rounds").json()["items"][drawn[-1]["round"]]["elite"]
    [told] = re.findall(r"<dt>Drawn around</dt><dd>(.*?)</dd>", html)
    assert [int(number) for number in re.findall(r"#(\d+)", told)] == elite[:20]
    assert "<dt>Proposed with what was known at</dt><dd>event " in html


@pytest.mark.parametrize("path", ["/trials/99", "/trials/99/clone", "/api/v1/trials/99/snippet"])
def test_a_trial_that_does_not_exist_is_not_found(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code == 404


@pytest.mark.parametrize("verb", ["again", "stop", "clone"])
def test_nothing_can_be_done_with_a_trial_that_does_not_exist(browser: TestClient, verb: str) -> None:
    assert browser.post(f"/trials/99/{verb}", headers=SAME_ORIGIN).status_code == 404
