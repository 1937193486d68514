"""The pages as they come from the server: complete without script, true, and safe to show."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.web.assets import bundle
from tests.service.web.trials import ScriptedWorker

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture
def study(worker: ScriptedWorker) -> dict[str, Any]:
    """A study of one complete, one failed and one running trial."""
    worker.submit("digits", objective={"name": "Line", "config": {"dataset": "digits"}})
    complete, failed, running = worker.claim(3)
    worker.report(complete, 0.9, 0.5, 0.42, 0.6)
    worker.finish(complete)
    worker.report(failed, 0.8)
    worker.finish(
        failed, "failed", kind="OOM", message="<img src=x onerror=alert(1)>", traceback="line 1\n<b>line 2</b>"
    )
    worker.report(running, 0.7, 0.61)
    return {"complete": complete, "failed": failed, "running": running}


def rows_of(html: str) -> list[str]:
    return re.findall(r'<tr role="row" id="trial-\d+".*?</tr>', html, re.DOTALL)


def test_every_page_carries_the_headers(browser: TestClient, study: dict[str, Any]) -> None:
    trial = f"/trials/{study['complete']['trial_id']}"
    parts = ("summary", "leaderboard", "curves", "zoom", "rungs", "timeline")
    fragments = [f"/studies/digits/fragments/{part}" for part in parts]
    paths = ["/", "/fragments/studies", "/studies/digits", trial, f"{trial}/fragments/trial", "/login", *fragments]
    for path in [*paths, "/studies/none", bundle().url("main.js")]:
        headers = browser.get(path).headers
        assert headers["content-security-policy"] == POLICY, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_nothing_inline_and_nothing_from_elsewhere(browser: TestClient, study: dict[str, Any]) -> None:
    for path in ("/", "/studies/digits", f"/trials/{study['failed']['trial_id']}", "/login", "/studies/none"):
        html = browser.get(path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", html), path
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html)), path
        assert not re.findall(r'(?:src|href|action)="(?!/|#)', html), path


def test_the_list_shows_where_each_study_stands(
    browser: TestClient, study: dict[str, Any], worker: ScriptedWorker
) -> None:
    worker.submit("second")
    html = browser.get("/").text
    assert html.index('id="study-second"') < html.index('id="study-digits"')
    entry = html[html.index('id="study-digits"') :]
    assert "Line</small>" in entry or "Line on digits</small>" in entry
    for text in ("1 running", "1 complete", "1 failed", "<b>0.42</b>", 'href="/studies/digits"', "of 10"):
        assert text in entry
    assert 'href="/api/v1/studies"' in html


def test_without_studies_the_list_says_who_waits(browser: TestClient, worker: ScriptedWorker) -> None:
    assert "No study yet." in (html := browser.get("/").text)
    assert "1 worker is connected and waits" in html
    ScriptedWorker(worker.http, "box-2")
    assert "2 workers are connected and wait" in browser.get("/").text


def test_without_workers_the_list_says_how_to_start_one(browser: TestClient) -> None:
    assert "<code>caviar work</code>" in browser.get("/").text


def test_the_leaderboard_has_the_best_first(browser: TestClient, study: dict[str, Any]) -> None:
    rows = rows_of(browser.get("/studies/digits").text)
    ids = [int(re.findall(r'id="trial-(\d+)"', row)[0]) for row in rows]
    assert ids == [study[name]["trial_id"] for name in ("complete", "running", "failed")]
    assert "best" in rows[0].split(">")[0]
    assert all("best" not in row.split(">")[0] for row in rows[1:])
    assert ">0.4200<" in rows[0]
    assert ">+0.1900<" in rows[1]
    assert 'data-label="units"' in rows[0]


def test_a_parameter_shows_its_place_on_its_scale(browser: TestClient, study: dict[str, Any]) -> None:
    params = study["complete"]["params"]
    row = rows_of(browser.get("/studies/digits").text)[0]
    cell = re.findall(r'<td[^>]*data-label="learning_rate".*?</td>', row, re.DOTALL)[0]
    assert f"learning_rate: {params['learning_rate']}" in cell
    share = 100 * (math.log10(params["learning_rate"]) + 4) / 4
    assert f'<rect width="{share:.1f}%"' in cell


def test_a_parameter_that_does_not_apply_is_a_dash(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("plain")
    worker.post("/studies/plain/trials", {"params": {"learning_rate": 0.01, "units": 64, "optimizer": "sgd"}})
    row = rows_of(browser.get("/studies/plain").text)[0]
    cell = re.findall(r'<td[^>]*data-label="beta_1".*?</td>', row, re.DOTALL)[0]
    assert "<span>–</span>" in cell
    assert "<svg" not in cell


def test_curves_are_drawn_by_the_server(browser: TestClient, study: dict[str, Any]) -> None:
    html = browser.get("/studies/digits").text
    lines = re.findall(r'<a id="curve-(\d+)" class="line ([a-z ]+)".*?points="([^"]+)"', html)
    assert {int(key): classes for key, classes, _ in lines} == {
        study["complete"]["trial_id"]: "complete best",
        study["running"]["trial_id"]: "running",
        study["failed"]["trial_id"]: "failed",
    }
    assert int(lines[-1][0]) == study["complete"]["trial_id"], "the best is drawn on top"
    assert [point.split(",")[0] for point in lines[-1][2].split()] == ["1", "2", "3", "4"]


def test_an_empty_study_says_so(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("empty")
    html = browser.get("/studies/empty").text
    assert "No trial yet." in html
    assert "1 worker is connected and will claim the first one" in html
    assert "No trial has reported an epoch yet" in html
    worker.claim()
    html = browser.get("/studies/empty").text
    assert "No trial has finished an epoch yet; 1 worker is connected." in re.sub(r"\s+", " ", html)
    assert len(rows_of(html)) == 1


def test_a_trial_shows_parameters_attempts_and_reason(browser: TestClient, study: dict[str, Any]) -> None:
    trial = study["complete"]
    html = browser.get(f"/trials/{trial['trial_id']}").text
    for name in trial["params"]:
        assert f'<th scope="row">{name}<small>' in html
    assert "1−x log scale" in html
    assert "best of the study" in html
    assert "All 4 measurements" in html
    assert "box-1" in html
    assert f'href="/api/v1/trials/{trial["trial_id"]}"' in html


def test_an_error_is_shown_as_text(browser: TestClient, study: dict[str, Any]) -> None:
    html = browser.get(f"/trials/{study['failed']['trial_id']}").text
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "&lt;b&gt;line 2&lt;/b&gt;" in html


def test_a_trial_that_runs_is_live_and_one_that_ended_is_not(browser: TestClient, study: dict[str, Any]) -> None:
    running = browser.get(f"/trials/{study['running']['trial_id']}").text
    assert f'/studies/digits/live?only=changes&amp;trial={study["running"]["trial_id"]}"' in running
    assert "data-changes" not in browser.get(f"/trials/{study['complete']['trial_id']}").text


def test_fragments_are_the_parts_of_the_page(browser: TestClient, study: dict[str, Any]) -> None:
    page = browser.get("/studies/digits").text
    for part in ("leaderboard", "curves"):
        assert browser.get(f"/studies/digits/fragments/{part}").text.strip() in page


def test_the_page_knows_the_last_event_that_it_shows(browser: TestClient, study: dict[str, Any]) -> None:
    seq = browser.get("/api/v1/studies/digits").json()["last_event_seq"]
    assert seq > 0
    assert f'data-seq="{seq}"' in browser.get("/studies/digits").text


def test_further_trials_are_on_further_pages(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("long", budget={"max_trials": 200, "max_epochs": 3})
    for number in range(105):
        params = {"learning_rate": 0.01, "units": 16 + number, "optimizer": "sgd"}
        worker.post("/studies/long/trials", {"params": params})
    first = browser.get("/studies/long").text
    assert len(rows_of(first)) == 50
    assert 'href="/studies/long?after=50#leaderboard" rel="next"' in first
    second = browser.get("/studies/long?after=100").text
    assert len(rows_of(second)) == 5
    assert 'href="/studies/long?after=50#leaderboard" rel="prev"' in second
    assert "fragments/leaderboard?after=100" in second
    assert "No trials this far down" in browser.get("/studies/long?after=900").text


def test_rounds_show_what_they_draw_from(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("zoom", strategy={"kind": "coarse_to_fine"}, budget={"max_trials": 60, "max_epochs": 1})
    for value in range(40):
        [trial] = worker.claim()
        worker.report(trial, 0.5 + value / 100)
        worker.finish(trial)
        if len(browser.get("/api/v1/studies/zoom/rounds").json()["items"]) > 1:
            break
    html = browser.get("/studies/zoom/zoom").text
    assert "Why round 1 looks there" in html
    assert 'aria-label="Windows of round 1"' in html


@pytest.mark.parametrize("path", ["/studies/none", "/trials/99", "/nothing", "/static/0/main.js", "/static/0/../../x"])
def test_what_is_not_there_is_a_page_that_says_so(browser: TestClient, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert '<a class="brand" href="/">' in answer.text
    assert "Not found" in answer.text


def test_a_refused_address_names_the_field(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("digits")
    answer = browser.get("/studies/digits?after=-1")
    assert answer.status_code == 422
    assert "<code>after</code>" in answer.text


def test_static_files_are_cached_for_ever_under_their_digest(stranger: TestClient) -> None:
    for name, asset in bundle().files.items():
        plain = stranger.get(bundle().url(name), headers={"Accept-Encoding": "identity"})
        assert plain.content == asset.content
        assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert plain.headers["content-type"] == asset.media_type
        packed = stranger.get(bundle().url(name), headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == asset.content
    assert stranger.get("/static/0000000000000000/main.js").status_code == 404


def test_modules_import_nothing_but_each_other() -> None:
    imported = {
        name
        for asset in bundle().files.values()
        if asset.media_type.startswith("text/javascript")
        for name in re.findall(r'from "([^"]+)"', asset.content.decode())
    }
    assert imported
    assert imported <= {f"./{name}" for name in bundle().files}
