"""The page of curves as it comes from the server, and what open pages are told of its axes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.domain.principal import SYSTEM
from service.use_cases import reading
from service.use_cases.service import Service
from service.web.pages.live_curves import ALL_S, Frames
from tests.service.web.trials import ScriptedWorker


@pytest.fixture
def trials(worker: ScriptedWorker) -> dict[str, Any]:
    """A complete, a failed and a running trial."""
    worker.submit("digits")
    complete, failed, running = worker.claim(3)
    worker.report(complete, 0.9, 0.5, 0.42, 0.6)
    worker.finish(complete)
    worker.report(failed, 0.8)
    worker.finish(failed, "failed", kind="OOM", message="no memory")
    worker.report(running, 0.7, 0.61)
    return {"complete": complete, "failed": failed, "running": running}


def lines(html: str) -> list[int]:
    return [int(found) for found in re.findall(r'<a id="curve-(\d+)" class="line', html)]


def ids(trials: dict[str, Any], *names: str) -> list[int]:
    return [trials[name]["trial_id"] for name in names]


def test_all_that_can_be_chosen_is_a_link_or_a_form(browser: TestClient, trials: dict[str, Any]) -> None:
    html = browser.get("/studies/digits/curves").text
    assert lines(html) == ids(trials, "failed", "running", "complete")
    addresses = set(re.findall(r'href="/studies/digits/curves(\?[^"#]*)', html))
    assert {"?hide=failed", "?scale=log", "?metric=loss", "?also=loss", "?top=10", "?x=time"} <= addresses
    assert re.search(r'<form[^>]*method="get" action="/studies/digits/curves"', html)
    assert set(re.findall(r'<input [^>]*name="(\w+)"', html)) >= {"at", "from", "to", "bold"}


def test_each_choice_changes_the_picture(browser: TestClient, trials: dict[str, Any]) -> None:
    def shown(query: str) -> list[int]:
        return lines(browser.get(f"/studies/digits/curves?{query}").text)

    assert shown("hide=failed") == ids(trials, "running", "complete")
    assert shown("top=1") == ids(trials, "complete")
    assert shown("at=2&from=0.6&to=0.7") == ids(trials, "running")
    assert shown("at=9&to=0.1") == []
    bold = trials["failed"]["number"]
    html = browser.get(f"/studies/digits/curves?bold={bold}&also=loss").text
    assert re.search(rf'id="curve-{trials["failed"]["trial_id"]}" class="line failed chosen"', html)
    assert re.search(rf'id="beside-{trials["failed"]["trial_id"]}" class="line beside"', html)
    assert "data-log" in browser.get("/studies/digits/curves?scale=log").text
    assert 'data-metric="loss"' in browser.get("/studies/digits/curves?metric=loss").text


def test_choices_are_kept_by_the_others(browser: TestClient, trials: dict[str, Any]) -> None:
    html = browser.get("/studies/digits/curves?scale=log&hide=failed&at=1&from=0.1").text
    assert 'href="/studies/digits/curves?hide=failed&amp;scale=log&amp;at=1&amp;from=0.1&amp;top=10"' in html
    assert re.search(r'type="hidden" name="scale" value="log"', html)
    assert re.search(r'type="hidden" name="hide" value="failed"', html)
    assert re.search(r'data-fragment="[^"]*/fragments/curves\?hide=failed&amp;[^"]*full=1"', html)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("scale=cubic", "auto, linear or log"),
        ("at=3", "from, to or both"),
        ("metric=other", "one of"),
        ("bold=99", "99"),
    ],
)
def test_what_cannot_be_drawn_says_why(browser: TestClient, trials: dict[str, Any], query: str, word: str) -> None:
    answer = browser.get(f"/studies/digits/curves?{query}")
    assert answer.status_code in (404, 422)
    assert word in answer.text


def test_its_twin_shows_the_same_trials(browser: TestClient, trials: dict[str, Any]) -> None:
    for query in ("hide=failed", "at=2&from=0.6&to=0.7", "metric=loss&top=2"):
        html = browser.get(f"/studies/digits/curves?{query}").text
        [twin] = re.findall(r'href="([^"]+)" rel="alternate"', html)
        items = browser.get(twin.replace("&amp;", "&")).json()["items"]
        assert sorted(item["trial_id"] for item in items) == sorted(lines(html)), query


def test_the_page_says_which_trials_it_shows(browser: TestClient, worker: ScriptedWorker, trials: Any) -> None:
    assert "have a line here" not in browser.get("/studies/digits/curves").text
    worker.claim()
    html = browser.get("/studies/digits/curves").text
    assert "3 of 4 trials have a line here: the others have reported no epoch." in html


def test_axes_are_told_when_they_must_change(browser: TestClient, worker: ScriptedWorker, trials: Any) -> None:
    whole: Service = browser.app.state.service  # type: ignore[attr-defined]  # The application is FastAPI's.
    service = whole.acting_for(SYSTEM)
    now = 0.0
    frames = Frames(clock=lambda: now)

    def newer() -> str | None:
        with service.reading() as tx:
            return frames.newer(tx, reading.study(tx, "digits"))

    first = newer()
    assert first is not None
    assert f'data-best="{trials["complete"]["trial_id"]}"' in first
    assert newer() is None
    worker.report(trials["running"], 0.65, first=3)
    assert newer() is None, "it lies within the axes"
    worker.report(trials["running"], 1.5, first=4)
    wider = newer()
    assert wider is not None
    assert float(re.findall(r'data-high="([^"]+)"', wider)[0]) >= 1.5
    now = ALL_S
    assert newer() is None
