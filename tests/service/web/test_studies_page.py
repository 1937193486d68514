"""The list of studies: what a row tells, and every part of it in the address."""

from __future__ import annotations

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from caviar.contract.views import Improvement, StudyView
from service.domain.study_query import SortOrder, StudyQuery, StudySort
from service.web.pictures.sparkline import history_axis, sparkline
from service.web.tables import listing
from tests.service.web.trials import ScriptedWorker


def names(html: str) -> list[str]:
    return re.findall(r'<tr role="row" id="study-([^"]+)"', html)


def row(html: str, name: str) -> str:
    begun = html.index(f'id="study-{name}"')
    return html[begun : html.index("</tr>", begun)]


def link(html: str, text: str) -> str:
    """The address of the link with this text."""
    found = re.findall(rf'<a href="([^"]+)"[^>]*>{text}', html)
    assert found, text
    return unescape(str(found[0]))


@pytest.fixture
def studies(worker: ScriptedWorker) -> None:
    """A study that runs, one that is paused, and one that is stopped."""
    worker.submit("alpha", tags={"owner": "ann", "<b>": "&"})
    complete, running = worker.claim(2)
    worker.report(complete, 0.9, 0.5, 0.3)
    worker.finish(complete)
    worker.report(running, 0.6)
    worker.submit("beta", strategy={"kind": "coarse_to_fine"})
    worker.post("/studies/beta:pause", {})
    worker.submit("gamma", budget={"max_trials": None, "max_total_epochs": 500, "max_epochs": 8})
    worker.post("/studies/gamma:stop", {})


@pytest.mark.usefixtures("studies")
def test_a_row_tells_where_the_study_stands(browser: TestClient) -> None:
    html = browser.get("/").text
    alpha = row(html, "alpha")
    for text in ("<b>0.3</b>", "1 running", "1 complete", "of 10", "random", "pruner none", 'data-label="slot time"'):
        assert text in alpha
    assert "owner <b>ann</b>" in alpha
    assert "&lt;b&gt; <b>&amp;</b>" in alpha
    assert 'aria-label="Best val_loss over 4 epochs: from 0.9 to 0.3"' in alpha
    assert "no new trials" in row(html, "beta")
    assert "by hand" in row(html, "gamma")
    assert '<svg class="spark"' not in row(html, "gamma")


@pytest.mark.usefixtures("studies")
def test_words_are_searched_and_stay_in_the_field(browser: TestClient) -> None:
    html = browser.get("/", params={"q": 'owner=ann "'}).text
    assert names(html) == []
    assert 'value="owner=ann &#34;"' in html
    assert link(html, "Show all studies") == "/"
    assert names(browser.get("/?q=owner=ann").text) == ["alpha"]
    address = unescape(re.findall(r'class="tag" href="([^"]+)"', browser.get("/").text)[0])
    assert names(browser.get(address).text) == ["alpha"]


@pytest.mark.usefixtures("studies")
def test_states_are_chosen_by_links_that_add_and_remove(browser: TestClient) -> None:
    html = browser.get("/").text
    assert re.search(r"All <small>3</small>", html)
    address = link(html, "paused")
    assert address == "/?state=paused"
    html = browser.get(address).text
    assert names(html) == ["beta"]
    both = link(html, "running")
    assert both == "/?state=running&state=paused"
    html = browser.get(both).text
    assert names(html) == ["beta", "alpha"]
    assert link(html, "paused") == "/?state=running"
    assert link(html, "All") == "/"
    assert html.count('<input type="hidden" name="state"') == 2, "a search keeps the states"


@pytest.mark.usefixtures("studies")
def test_heads_of_columns_sort_and_turn_round(browser: TestClient) -> None:
    html = browser.get("/").text
    assert 'aria-sort="descending"><a href="/?order=asc">Created' in html
    html = browser.get(link(html, "Study")).text
    assert names(html) == ["alpha", "beta", "gamma"]
    assert 'aria-sort="ascending"><a href="/?sort=name&amp;order=desc">Study' in html
    assert names(browser.get("/?sort=name&order=desc").text) == ["gamma", "beta", "alpha"]
    assert html.count("aria-sort") == 1
    assert link(html, "Created") == "/"


@pytest.mark.usefixtures("studies")
def test_pages_lead_on_and_back_and_keep_the_rest(browser: TestClient) -> None:
    html = browser.get("/?sort=name&limit=2").text
    assert names(html) == ["alpha", "beta"]
    assert "1–2 of 3" in html
    onward = link(html, "Next")
    assert onward == "/?sort=name&limit=2&offset=2"
    html = browser.get(onward).text
    assert names(html) == ["gamma"]
    assert link(html, "Previous") == "/?sort=name&limit=2"
    assert 'data-fragment="/fragments/studies?sort=name&amp;limit=2&amp;offset=2"' in html
    assert "No studies this far down" in browser.get("/?offset=50").text


@pytest.mark.usefixtures("studies")
def test_the_fragment_and_the_json_are_the_same_part_of_the_list(browser: TestClient) -> None:
    query = "?q=a&state=running&state=paused&sort=name&order=desc"
    html = browser.get(f"/{query}").text
    fragment = unescape(re.findall(r'data-fragment="([^"]+)"', html)[0])
    alone = browser.get(fragment).text
    assert names(alone) == names(html)
    assert alone[: alone.index("<table")].strip() in html
    twin = unescape(re.findall(r'<a href="([^"]+)" rel="alternate"', html)[0])
    assert twin.startswith("/api/v1/studies?")
    assert [study["name"] for study in browser.get(twin).json()["items"]] == names(html) == ["beta", "alpha"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("state=ended", "state"), ("sort=size", "sort"), ("order=up", "order"), ("offset=-1", "offset")],
)
def test_a_refused_query_names_its_field(browser: TestClient, query: str, field: str) -> None:
    answer = browser.get(f"/?{query}")
    assert answer.status_code == 422
    assert f"<code>{field}" in answer.text


def test_an_address_says_only_what_differs_from_the_usual() -> None:
    query = StudyQuery(limit=listing.STUDIES_PER_PAGE)
    assert listing.address(query) == "/"
    assert (
        listing.address(query, q="a b&c", sort=StudySort.BEST, order=SortOrder.ASC) == "/?q=a+b%26c&sort=best&order=asc"
    )


def gains(*pairs: tuple[int, float]) -> list[Improvement]:
    at = "2026-11-21T13:00:00Z"
    bodies = [{"trial_id": 1, "number": 0, "epoch": 1, "value": value, "num_epochs": so_far} for so_far, value in pairs]
    return [Improvement.model_validate(body | {"at": at}) for body in bodies]


def test_a_sparkline_steps_down_to_its_mark(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("line")
    study = StudyView.model_validate(browser.get("/api/v1/studies/line").json()).model_copy(update={"num_epochs": 100})
    line = sparkline(study, gains((1, 1.0), (50, 0.5)))
    assert line is not None
    assert re.fullmatch(r"M3\.9 \d+H50\.0V\d+H97", line.path)
    assert line.best.startswith("M50.0 ")
    assert "logarithmic" not in line.label
    steep = sparkline(study, gains((1, 1.0), (50, 0.05)))
    assert steep is not None
    assert "logarithmic" in steep.label
    assert sparkline(study, []) is None


def test_best_values_over_time_get_a_logarithmic_axis_only_where_it_helps() -> None:
    assert history_axis([[2.0, 0.1]], is_minimized=True).is_log
    assert not history_axis([[2.0, 1.0]], is_minimized=True).is_log
    assert not history_axis([[2.0, -0.1]], is_minimized=True).is_log
    assert not history_axis([[0.01, 0.99]], is_minimized=False).is_log, "what counts is at the upper end"
    assert not history_axis([[]], is_minimized=True).is_log
