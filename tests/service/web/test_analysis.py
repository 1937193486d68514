"""The analysis page without script: ranges as a form, the selected trials, slices, importances, pairs."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.web import library
from tests.service.web.trials import ScriptedWorker

PLACES = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 0.5, 0.3]


def trial(place: float, optimizer: str = "sgd", **changes: Any) -> dict[str, Any]:
    """A configuration at a place on the axis of the learning rate, and its value: the best at 0.55."""
    params = {"learning_rate": 10 ** (-4 + 4 * place), "units": 16, "optimizer": optimizer}
    return {"params": params | changes, "value": 0.25 + abs(place - 0.55)}


@pytest.fixture
def study(worker: ScriptedWorker) -> str:
    """Twelve trials, four of them with `adam`."""
    name = worker.submit("digits")
    adam = [trial(place, "adam", beta_1=0.95, units=64) for place in PLACES[:4]]
    worker.post(f"/studies/{name}/trials:import", {"items": adam + [trial(place) for place in PLACES[4:]]})
    return name


def picked(html: str) -> list[int]:
    """Numbers of the trials in the table."""
    return [int(number) for number in re.findall(r'<th scope="row"><a href="/trials/\d+">#(\d+)</a>', html)]


def test_all_trials_are_selected_at_first_and_the_best_leads(browser: TestClient, study: str) -> None:
    html = browser.get(f"/studies/{study}/analysis").text
    assert "<b>12</b> of 12, best <b>0.25</b>" in html
    assert picked(html)[0] == 5
    assert 'class="best"' in html
    assert 'rel="alternate" type="application/json"' in html
    for name in ("learning_rate", "beta_1", "units", "optimizer", "val_loss"):
        assert f'data-label="{name}"' in html
    assert "25.0=0.001" in html


def test_ranges_of_the_address_narrow_the_table_and_lead_to_the_leaderboard(browser: TestClient, study: str) -> None:
    html = browser.get(f"/studies/{study}/analysis?where=learning_rate:..0.001&where=optimizer:adam").text
    assert picked(html) == [2, 1, 0]
    assert "<b>3</b> of 12, best <b>0.55</b>, mean <b>0.65</b>" in html
    assert f'href="/studies/{study}?where=learning_rate:..0.001&amp;where=optimizer:adam"' in html
    assert browser.get(f"/studies/{study}?where=learning_rate:..0.001&where=optimizer:adam").status_code == 200
    assert picked(browser.get(f"/studies/{study}/fragments/selection?where=value:..0.31").text) == [5, 10]
    assert picked(browser.get(f"/studies/{study}/analysis?top=10").text) == [5, 10]


def test_the_form_sends_places_and_gets_natural_values(browser: TestClient, study: str) -> None:
    sent = (
        "learning_rate.low=250&learning_rate.high=500&units.low=0&units.high=1000&optimizer.choice=0&top=50&hide=pruned"
    )
    answer = browser.get(f"/studies/{study}/analysis/brush?{sent}")
    assert answer.status_code == 303
    target = answer.headers["location"]
    assert target == f"/studies/{study}/analysis?where=learning_rate:0.001..0.01&where=optimizer:sgd&top=50&hide=pruned"
    html = browser.get(target).text
    assert 'name="learning_rate.low" min="0" max="1000" value="250"' in html
    assert 'data-from="0.001" data-to="0.01"' in html
    assert 'value="50" ' in html or 'value="50">' in html
    assert 'name="hide" value="pruned" checked' in html
    assert picked(html) == [10, 4]
    everything = browser.get(f"/studies/{study}/analysis/brush?learning_rate.low=0&learning_rate.high=1000&top=100")
    assert everything.headers["location"] == f"/studies/{study}/analysis"


def test_pruned_trials_can_be_left_out(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("pruned", pruner={"kind": "threshold", "upper": 1.0}, budget={"max_trials": 4, "max_epochs": 4})
    good, bad = worker.claim(2)
    worker.report(good, 0.5)
    worker.report(bad, 3.0)
    assert picked(browser.get("/studies/pruned/analysis").text) == [0, 1]
    assert picked(browser.get("/studies/pruned/analysis?hide=pruned").text) == [0]
    assert 'class="pruned"' in browser.get("/studies/pruned/analysis/slices").text


@pytest.mark.parametrize(
    "query",
    [
        "where=learning_rat:1..2",
        "where=learning_rate:x",
        "where=optimizer:lion",
        "where=epochs:1..2",
        "top=0",
        "hide=complete",
    ],
)
def test_bad_ranges_are_told(browser: TestClient, study: str, query: str) -> None:
    for path in ("analysis", "fragments/selection"):
        answer = browser.get(f"/studies/{study}/{path}?{query}")
        assert answer.status_code == 422
        assert f"<code>{query.partition('=')[0]}</code>" in answer.text


def test_a_study_without_trials_says_so(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("fresh")
    for view in ("", "/slices", "/pairs", "/slices?method=fanova", "/pairs?x=units&y=learning_rate"):
        assert browser.get(f"/studies/fresh/analysis{view}").status_code == 200
    assert "No trial has a value yet." in browser.get("/studies/fresh/analysis").text
    assert "expected at least 5" in browser.get("/studies/fresh/analysis/pairs?x=units&y=learning_rate").text


def test_importances_are_computed_only_on_request(browser: TestClient, study: str) -> None:
    page = browser.get(f"/studies/{study}/analysis/slices").text
    assert 'class="bars"' not in page
    assert f'data-source="/studies/{study}/fragments/importances"' in page
    for method, words in (("ped_anova", "best tenth"), ("fanova", "differences between all")):
        bars = browser.get(f"/studies/{study}/fragments/importances?method={method}").text
        assert words in bars
        assert "From 12 trials" in bars
        assert 'href="#slice-learning_rate"' in bars
        assert bars.strip() in browser.get(f"/studies/{study}/analysis/slices?method={method}").text


def test_too_few_trials_for_importances_are_an_explanation(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("few")
    answer = browser.get("/studies/few/fragments/importances")
    assert answer.status_code == 200
    assert "Too early to tell." in answer.text
    assert "expected at least 10" in answer.text


def test_slices_put_every_trial_at_its_place(browser: TestClient, study: str) -> None:
    html = browser.get(f"/studies/{study}/analysis/slices").text
    figures = re.findall(r'<figure class="slice" id="slice-(\w+)">(.*?)</figure>', html, re.DOTALL)
    assert [name for name, _ in figures] == ["learning_rate", "beta_1", "units", "optimizer"]
    drawn = dict(figures)
    assert 'aria-label="val_loss against beta_1, 4 trials"' in drawn["beta_1"]
    places = {int(x) for x in re.findall(r"M(\d+) \d+h0", drawn["learning_rate"])}
    assert places == {round(1000 * place) for place in PLACES}
    assert re.search(r'<path class="best" d="M550 \d+h0"/>', drawn["learning_rate"])


def test_a_pair_is_drawn_without_script_once_it_is_chosen(browser: TestClient, study: str) -> None:
    plain = browser.get(f"/studies/{study}/analysis/pairs").text
    assert 'class="heat"' not in plain
    assert '<option selected data-cells="0"' in plain
    assert library.url() in plain
    html = browser.get(f"/studies/{study}/analysis/pairs?x=learning_rate&y=optimizer").text
    assert re.search(r'<svg class="heat".*<path class="q0" d="M\d+', html)
    assert f"/api/v1/studies/{study}/contour?x=learning_rate&amp;y=optimizer" in html
    assert browser.get(f"/studies/{study}/analysis/pairs?x=nothing&y=units").status_code == 422
    assert browser.get(f"/studies/{study}/analysis/pairs?x=units&y=units").status_code == 422


def test_the_library_is_served_compressed_and_for_ever_and_only_where_it_is_needed(
    browser: TestClient, study: str
) -> None:
    for view in ("", "/slices"):
        assert "plotly" not in browser.get(f"/studies/{study}/analysis{view}").text
    packed = browser.get(library.url(), headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert packed.headers["content-type"] == "text/javascript; charset=utf-8"
    assert len(library.script().compressed) < len(library.script().content) / 3
    assert gzip.decompress(library.script().compressed) == library.script().content == packed.content
    assert browser.get(library.url(), headers={"Accept-Encoding": "identity"}).content == packed.content
    assert browser.get("/static/plotly/0.0.0/plotly.min.js").status_code == 404
