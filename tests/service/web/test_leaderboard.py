"""The leaderboard as it comes from the server: every view has an address, and works without script."""

from __future__ import annotations

import html as text
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.web.live.parts import split
from tests.service.web.trials import ScriptedWorker

PARAMS = {"learning_rate": 0.01, "units": 64, "optimizer": "sgd"}


@pytest.fixture
def study(worker: ScriptedWorker) -> list[dict[str, Any]]:
    """Four trials: 0.4, 0.2, 0.3 of one configuration each, and one that runs."""
    worker.submit("digits", budget={"max_trials": 40, "max_epochs": 8})
    trials = []
    for value, rate in ((0.4, 0.001), (0.2, 0.01), (0.3, 0.1)):
        worker.post("/studies/digits/trials", {"params": PARAMS | {"learning_rate": rate}})
        [trial] = worker.claim()
        worker.report(trial, value + 0.5, value)
        worker.finish(trial)
        trials.append(trial)
    worker.post("/studies/digits/trials", {"params": PARAMS | {"optimizer": "adam", "beta_1": 0.95}})
    return [*trials, *worker.claim()]


def rows_of(html: str) -> list[str]:
    return re.findall(r'<tr role="row" id="trial-\d+".*?</tr>', html, re.DOTALL)


def numbers(html: str) -> list[int]:
    return [int(re.findall(r'aria-label="Compare trial (\d+)"', row)[0]) for row in rows_of(html)]


def headers(html: str) -> dict[str, tuple[str, str]]:
    """Address and `aria-sort` of each header."""
    found = re.findall(r'<th role="columnheader"[^>]*?(?:aria-sort="(\w+)")?><a href="([^"]+)">([^<]+)</a>', html)
    return {label: (text.unescape(address), order) for order, address, label in found}


def page(browser: TestClient, query: str = "") -> str:
    answer = browser.get(f"/studies/digits{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_header_sorts_and_sorts_the_other_way(browser: TestClient, study: list[dict[str, Any]]) -> None:
    html = page(browser)
    assert numbers(html) == [1, 2, 0, 3]
    assert headers(html)["val_loss"] == ("/studies/digits?sort=-rank#leaderboard", "ascending")
    address, order = headers(html)["learning_rate"]
    assert order == ""
    by_rate = browser.get(address).text
    assert numbers(by_rate) == [0, 1, 3, 2]
    assert [order for _, order in headers(by_rate).values() if order] == ["ascending"]
    turned = browser.get(headers(by_rate)["learning_rate"][0]).text
    assert numbers(turned) == [2, 1, 3, 0]
    assert headers(turned)["learning_rate"][1] == "descending"
    assert "sorted by learning rate, turned round" in turned


def test_filters_are_in_the_address_and_each_can_be_lifted(browser: TestClient, study: list[dict[str, Any]]) -> None:
    html = page(browser, "?state=complete&where=learning_rate:0.005..")
    assert numbers(html) == [1, 2]
    assert "2 of 4 trials" in html
    chips = re.findall(r'<a class="tag" href="([^"]+)" aria-label="Lift the filter ([^"]+)">', html)
    assert [words for _, words in chips] == ["complete", "learning_rate ≥ 0.005"]
    assert numbers(browser.get(text.unescape(chips[1][0])).text) == [1, 2, 0]
    assert "No trial matches these filters." in page(browser, "?state=failed")


def test_what_a_form_asks_for_gets_a_plain_address(browser: TestClient, study: list[dict[str, Any]]) -> None:
    form = "?q=&where.value=&where.learning_rate=0.005..0.5&where.optimizer=sgd&state=complete&sort=units&turned=1"
    answer = browser.get(f"/studies/digits{form}")
    assert answer.status_code == 303
    where = "where=learning_rate:0.005..0.5&where=optimizer:sgd"
    assert answer.headers["location"] == f"/studies/digits?state=complete&{where}&sort=-units#leaderboard"
    html = browser.get(answer.headers["location"]).text
    assert numbers(html) == [1, 2]
    assert '<input name="where.learning_rate" value="0.005..0.5"' in html
    assert '<input type="checkbox" name="where.optimizer" value="sgd" checked>' in html


def test_columns_are_chosen_by_the_address(browser: TestClient, study: list[dict[str, Any]]) -> None:
    assert list(headers(page(browser, "?columns=units,value,worker"))) == ["trial", "units", "val_loss", "worker"]
    usual = list(headers(page(browser)))
    assert usual[:4] == ["rank", "trial", "val_loss", "to best"]
    assert "device" not in usual, "what no row has takes no room"
    assert "repeats" not in usual


def test_a_view_that_cannot_be_had_is_refused_where_it_would_stand(
    browser: TestClient, study: list[dict[str, Any]]
) -> None:
    answer = browser.get("/studies/digits?where=learning_rat:1..2&limit=500")
    assert answer.status_code == 422
    assert "<code>where</code> received “learning_rat:1..2”" in answer.text
    assert "did you mean &#39;learning_rate&#39;?" in answer.text
    assert "a whole number from 1 to 200" in answer.text
    assert numbers(answer.text) == [1, 2, 0, 3], "the usual view is still there"
    assert "data-live" not in answer.text
    assert browser.get("/studies/digits/fragments/leaderboard?sort=x").status_code == 422


def test_pinned_rows_stand_on_top_and_are_let_go(browser: TestClient, study: list[dict[str, Any]]) -> None:
    html = page(browser, "?pin=0,3")
    assert numbers(html) == [0, 3, 1, 2]
    assert html.count('id="trial-') == 4, "a row is on the page once"
    pins = dict(re.findall(r'class="pin" href="([^"]+)" aria-label="(\w+ trial \d)"', html))
    assert {words: text.unescape(address) for address, words in pins.items()} == {
        "Unpin trial 0": "/studies/digits?pin=3#leaderboard",
        "Unpin trial 3": "/studies/digits?pin=0#leaderboard",
        "Pin trial 1": "/studies/digits?pin=0,3,1#leaderboard",
        "Pin trial 2": "/studies/digits?pin=0,3,2#leaderboard",
    }


def test_links_to_files_are_of_exactly_this_view(browser: TestClient, study: list[dict[str, Any]]) -> None:
    html = page(browser, "?state=complete&sort=learning_rate&columns=trial,learning_rate")
    [csv_address] = re.findall(r'<a href="([^"]+)" download>CSV</a>', html)
    table = browser.get(text.unescape(csv_address)).text.splitlines()
    assert table == ["trial,params.learning_rate", "0,0.001", "1,0.01", "2,0.1"]
    [json_address] = re.findall(r'<a href="([^"]+)">JSON</a>', html)
    assert [row["number"] for row in browser.get(text.unescape(json_address)).json()["items"]] == [0, 1, 2]


def test_every_row_is_a_part_of_its_own(
    browser: TestClient, study: list[dict[str, Any]], worker: ScriptedWorker
) -> None:
    address = "/studies/digits/fragments/leaderboard?pin=0"
    before = split(browser.get(address).text)
    keys = [f"trial-{trial['trial_id']}" for trial in study]
    assert [set(run) for run in before.runs] == [{"board-count"}, {keys[0]}, set(keys[1:])]
    worker.report(study[3], 0.5)
    change = split(browser.get(address).text).since(before)
    assert set(change) == {"parts"}
    assert set(change["parts"]) == {keys[3]}


def test_repeats_and_ties_are_told_with_their_grounds(
    browser: TestClient, study: list[dict[str, Any]], worker: ScriptedWorker
) -> None:
    for value in (0.26, 0.32):
        worker.post("/studies/digits/trials", {"params": study[1]["params"]})
        [trial] = worker.claim()
        worker.report(trial, value)
        worker.finish(trial)
    html = page(browser)
    assert "repeats" in headers(html)
    rows = dict(zip(numbers(html), rows_of(html), strict=True))
    assert "0.2600 ± 0.06 <small>n=3</small>" in rows[1]
    assert "over the 3 complete trials of this configuration" in rows[1]
    assert 'class="tie"' not in rows[1], "the best is not compared with itself"
    assert "is within the noise" in rows[2]
    assert "pooled over 3 complete trials of 1 repeated configuration" in html


def test_a_stop_reason_tells_what_it_rests_on(
    browser: TestClient, study: list[dict[str, Any]], worker: ScriptedWorker
) -> None:
    worker.post(f"/trials/{study[3]['trial_id']}:stop", {})
    row = dict(zip(numbers(html := page(browser)), rows_of(html), strict=True))[3]
    assert 'title="by hand, after epoch 0"' in row
    assert '<span class="unseen">: by hand, after epoch 0</span>' in row


def test_tags_and_a_note_are_on_the_row(
    browser: TestClient, study: list[dict[str, Any]], worker: ScriptedWorker
) -> None:
    trial = study[2]["trial_id"]
    headers_of = {"Origin": "http://testserver"}
    said = {"tags": "keep\nby: hand, odd", "note": "first line\r\n<b>second</b>"}
    answer = browser.post(f"/trials/{trial}/annotate", data=said, headers=headers_of)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"/trials/{trial}")
    stored = browser.get(f"/api/v1/trials/{trial}").json()
    assert stored["tags"] == {"keep": "", "by": "hand", "odd": ""}
    assert stored["note"] == "first line\n<b>second</b>"
    row = dict(zip(numbers(html := page(browser)), rows_of(html), strict=True))[2]
    assert '<span class="tag">by: hand</span>' in row
    assert "&lt;b&gt;second&lt;/b&gt;" in row
    assert numbers(page(browser, "?q=odd")) == [2]
    twice = browser.post(f"/trials/{trial}/annotate", data={"tags": "a, a"}, headers=headers_of)
    assert twice.status_code == 422
    assert "each tag once" in twice.text


def test_the_best_are_enqueued_again_by_a_form(browser: TestClient, study: list[dict[str, Any]]) -> None:
    headers_of = {"Origin": "http://testserver"}
    assert 'action="/studies/digits/retest"' in page(browser)
    answer = browser.post("/studies/digits/retest", data={"top": "2", "repeats": "1"}, headers=headers_of)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/digits#leaderboard")
    assert browser.get("/api/v1/studies/digits").json()["num_trials"] == 6
    for given, words in (
        ({"top": "many", "repeats": "1"}, "top: received"),
        ({"top": "3", "repeats": "20"}, "has room"),
    ):
        refused = browser.post("/studies/digits/retest", data=given, headers=headers_of)
        assert refused.status_code in (409, 422)
        [problem] = re.findall(r'<p class="problem" role="alert">(.*?)</p>', refused.text)
        assert words in problem
        assert f'value="{given["top"]}"' in refused.text, "what was written is still there"
    assert browser.get("/api/v1/studies/digits").json()["num_trials"] == 6


def test_trials_are_compared_side_by_side(browser: TestClient, study: list[dict[str, Any]]) -> None:
    html = browser.get("/studies/digits/compare?trial=1&trial=3").text
    assert "2 trials side by side" in html
    differing = re.findall(r'<tr class="differs"><th scope="row">(\w+)', html)
    assert differing == ["beta_1", "optimizer"]
    assert "<dt>learning_rate</dt>" in html
    assert "does not apply" in html
    assert f'id="curve-{study[1]["trial_id"]}"' in html
    assert f'id="curve-{study[3]["trial_id"]}"' not in html, "it has no epoch yet"
    [address] = re.findall(r'<a href="([^"]+)" rel="alternate"', html)
    assert [one["number"] for one in browser.get(text.unescape(address)).json()["items"]] == [1, 3]


def test_a_comparison_in_short_gets_the_plain_address(browser: TestClient, study: list[dict[str, Any]]) -> None:
    answer = browser.get("/studies/digits/compare?trials=1,3")
    assert answer.headers["location"] == "/studies/digits/compare?trial=1&trial=3"


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 422, "No trial is ticked."),
        ("?trial=1", 422, "Only one trial is ticked."),
        ("?trial=0&trial=1&trial=2&trial=3&trial=4&trial=5&trial=6", 422, "7 trials are ticked."),
        ("?trial=x&trial=1", 422, "the number of a trial"),
        ("?trial=1&trial=70", 404, "has no trial 70"),
    ],
)
def test_a_comparison_that_cannot_be_says_why(
    browser: TestClient, study: list[dict[str, Any]], query: str, status: int, words: str
) -> None:
    answer = browser.get(f"/studies/digits/compare{query}")
    assert answer.status_code == status
    assert words in answer.text
