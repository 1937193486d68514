"""The zoom map, the next round by hand and the ranges of the space, for a browser without script."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from caviar.contract.space import FloatParameter, IntParameter, Space
from service.use_cases.zooming import pressures, widened
from service.web.pictures.ticks import scale_ticks
from tests.service.web.trials import SPACE, ScriptedWorker

ROUNDS = {"strategy": {"kind": "coarse_to_fine"}, "budget": {"max_trials": 60, "max_epochs": 1}}


def number(low: float, high: float, scale: Any = "linear", **more: Any) -> FloatParameter:
    return FloatParameter(type="float", low=low, high=high, scale=scale, **more)


def sent_to(browser: TestClient, path: str, data: dict[str, str]) -> Response:
    """The answer to a form that was sent from a page of the service."""
    return browser.post(path, data=data, headers={"Origin": "http://testserver"})


def field(html: str, name: str) -> str:
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', html)
    assert found, name
    return found.group(1)


def train(worker: ScriptedWorker, count: int) -> None:
    for position in range(count):
        [trial] = worker.claim()
        worker.report(trial, 0.5 + position / 100)
        worker.finish(trial)


@pytest.mark.parametrize(
    ("parameter", "labels"),
    [
        (number(1e-4, 1.0, "log"), ["0.0001", "0.001", "0.01", "0.1", "1"]),
        (number(0.9, 0.999, "reverse_log"), ["0.9", "0.97", "0.99", "0.997", "0.999"]),
        (number(0.01, 0.99, "logit"), ["0.01", "0.1", "0.5", "0.9", "0.99"]),
        (number(0.0, 0.4), ["0", "0.1", "0.2", "0.3", "0.4"]),
        (number(0.012, 0.024, "log"), ["0.012", "0.014", "0.016", "0.02", "0.024"]),
        (IntParameter(type="int", low=16, high=256, scale="log"), ["16", "32", "64", "128", "256"]),
        (IntParameter(type="int", low=1, high=3), ["1", "2", "3"]),
    ],
)
def test_ticks_are_round_natural_values(parameter: FloatParameter | IntParameter, labels: list[str]) -> None:
    ticks = scale_ticks(parameter)
    assert [tick.label for tick in ticks] == labels
    places = [tick.position for tick in ticks]
    assert places == sorted(places)
    assert all(b - a > 15 for a, b in pairwise(places))


def test_ticks_stand_where_the_scale_has_them() -> None:
    assert [tick.position for tick in scale_ticks(number(1e-4, 1.0, "log"))] == [0, 25, 50, 75, 100]
    # Each of three values owns a third.
    assert [tick.position for tick in scale_ticks(IntParameter(type="int", low=1, high=3))] == [16.67, 50, 83.33]


@pytest.mark.parametrize(
    ("parameter", "lower", "upper"),
    [
        (number(1e-4, 1.0, "log"), 1e-5, 10.0),
        (number(0.9, 0.999, "reverse_log"), 0.7, 0.9997),
        # Nothing is suggested below zero.
        (number(0.0, 0.4), None, 0.5),
        (number(-3.0, 7.0), -6.0, 10.0),
        (IntParameter(type="int", low=16, high=256, scale="log"), 8.0, 512.0),
        (IntParameter(type="int", low=1, high=3), None, 4.0),
        (number(0.1, 0.9, "linear", step=0.1), None, 1.1),
    ],
)
def test_a_wider_end_is_round_and_on_the_scale(
    parameter: FloatParameter | IntParameter, lower: float | None, upper: float | None
) -> None:
    assert widened(parameter, "lower") == lower
    assert widened(parameter, "upper") == upper


def test_the_best_trials_press_against_an_end() -> None:
    space = Space.model_validate({"rate": SPACE["learning_rate"], "kind": SPACE["optimizer"]})
    best = [{"rate": rate, "kind": "sgd"} for rate in (0.9, 0.8, 0.7, 0.95, 1.0, 0.01, 0.001)]
    [pressure] = pressures(space, best)["rate"]
    assert (pressure.end, pressure.bound, pressure.num_near, pressure.num_best, pressure.wider) == (
        "upper",
        1.0,
        5,
        7,
        10.0,
    )
    # Half of the best must be there, and at least five.
    assert pressures(space, best[:4]) == {}
    assert pressures(space, [*best, *({"rate": 0.01, "kind": "sgd"} for _ in range(4))]) == {}
    # A value from before the range was edited has no place in it.
    assert pressures(space, [{"rate": 2.0, "kind": "sgd"}] * 9) == {}


def test_a_study_without_rounds_says_so(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("plain")
    train(worker, 3)
    html = browser.get("/studies/plain/zoom").text
    assert "The strategy random works without rounds" in html
    assert 'class="leader"' in html
    assert "Open round" not in html
    assert 'id="windows"' not in html


def test_windows_and_trials_are_drawn_for_every_parameter(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("rounds", **ROUNDS)
    train(worker, 8)
    html = browser.get("/studies/rounds/zoom").text
    for name in SPACE:
        assert f'<h3 id="name-{name}">{name}</h3>' in html
    assert html.count('class="band"') == len(SPACE)
    # Eight trials: the best one stands for itself, and each of the others has its grade.
    plot = html.split('id="strip-learning_rate"')[1].split("</section>")[0]
    dots = re.findall(r'class="dots grade-\d" d="([^"]*)"', plot)
    assert sum(path.count("M") for path in dots) == 7
    assert re.search(r'class="leader" d="M\d+ \d+h0"', plot)
    assert "where optimizer is adam" in html
    assert browser.get("/studies/rounds/fragments/zoom").text.strip() in html


def test_many_rounds_share_bands(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("many", **ROUNDS)
    for position in range(60):
        worker.post("/studies/many/rounds", {"windows": {"learning_rate": {"low": 1e-4, "high": 1 - position / 100}}})
    html = browser.get("/studies/many/zoom").text
    assert "each is the mean of 2 rounds" in html
    plot = html.split('id="strip-learning_rate"')[1].split("</svg>")[1]
    assert plot.count("data-words=") == 30
    assert 'data-words="rounds 58–59"' in plot


def test_a_round_is_opened_without_script(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("by-hand", **ROUNDS)
    worker.claim()
    form = browser.get("/studies/by-hand/zoom").text
    assert (field(form, "low.learning_rate"), field(form, "high.units")) == ("0.0001", "512")
    assert "Open round 1" in form
    sent = {"round": field(form, "round"), "low.learning_rate": "0.01", "high.learning_rate": "1e-1"}
    sent |= {"low.units": "16", "high.units": "512", "weight.optimizer.0": "0", "weight.optimizer.1": "3"}
    answer = sent_to(browser, "/studies/by-hand/rounds", sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/by-hand/zoom")
    opened = browser.get("/api/v1/studies/by-hand/rounds").json()["items"][-1]
    assert (opened["number"], opened["origin"]) == (1, "manual")
    assert (opened["windows"]["learning_rate"]["low"], opened["windows"]["learning_rate"]["high"]) == (0.01, 0.1)
    assert opened["windows"]["optimizer"]["weights"] == [0.0, 1.0]
    # What was left alone is kept.
    assert opened["windows"]["units"]["reason"] == "kept from round 0"
    html = browser.get("/studies/by-hand/zoom").text
    assert (field(html, "low.learning_rate"), field(html, "high.learning_rate")) == ("0.01", "0.1")
    assert "set by hand" in html


@pytest.mark.parametrize(
    ("sent", "name", "words"),
    [
        ({"high.learning_rate": "5"}, "high.learning_rate", "received 5.0, expected a number in [0.0001, 1.0]"),
        ({"low.learning_rate": "fast"}, "low.learning_rate", "received fast, expected a number"),
        ({"low.learning_rate": "0.5", "high.learning_rate": "0.1"}, "low.learning_rate", "a number below high (0.1)"),
        ({"weight.optimizer.0": "-1"}, "weight.optimizer.0", "a weight, a number of at least 0"),
        ({"weight.optimizer.0": "0", "weight.optimizer.1": "0"}, "weight.optimizer.1", "at least one weight above 0"),
    ],
)
def test_a_refused_window_is_told_at_its_field(
    browser: TestClient, worker: ScriptedWorker, sent: dict[str, str], name: str, words: str
) -> None:
    worker.submit("refused", **ROUNDS)
    answer = sent_to(browser, "/studies/refused/rounds", {"round": "", **sent})
    assert answer.status_code == 422
    [problem] = re.findall(r'<p class="problem" id="problem-\w+">(.*?)</p>', answer.text)
    assert words in problem
    refused = re.search(rf'name="{re.escape(name)}" value="{sent[name]}" aria-invalid="true"', answer.text)
    assert refused
    assert browser.get("/api/v1/studies/refused/rounds").json()["items"] == []


def test_a_form_without_a_change_is_refused(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("same", **ROUNDS)
    answer = sent_to(browser, "/studies/same/rounds", {"round": ""})
    assert answer.status_code == 422
    assert "Nothing was changed" in answer.text


def test_an_ended_study_and_one_without_rounds_open_none(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("plain")
    answer = sent_to(browser, "/studies/plain/rounds", {"high.learning_rate": "0.1"})
    assert answer.status_code == 409
    assert "has no rounds" in answer.text
    worker.submit("ended", **ROUNDS)
    worker.post("/studies/ended:stop", {})
    assert "Open round" not in browser.get("/studies/ended/zoom").text
    assert sent_to(browser, "/studies/ended/rounds", {"high.learning_rate": "0.1"}).status_code == 409
    assert browser.get("/studies/ended/rounds").headers["location"] == "/studies/ended/zoom"


def test_a_range_is_widened_in_place(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("wider")
    train(worker, 3)
    html = browser.get("/studies/wider/space?parameter=learning_rate&end=upper").text
    assert field(html, "high.learning_rate") == "10"
    assert "was 1<" in html
    assert "With these ranges 3 of 3 trials will still fit" in html
    answer = sent_to(browser, "/studies/wider/space", {"high.learning_rate": "10"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/wider/space")
    study = browser.get("/api/v1/studies/wider").json()
    assert (study["space"]["learning_rate"]["high"], study["space_version"]) == (10.0, 2)
    assert "version 2; 3 of 3 trials fit it" in browser.get("/studies/wider/space").text


def test_how_many_trials_fit_is_told_before_anything_changes(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("narrow")
    params = {"units": 32, "optimizer": "sgd"}
    items = [{"params": {**params, "learning_rate": rate}, "value": 0.5} for rate in (0.001, 0.5)]
    worker.post("/studies/narrow/trials:import", {"items": items})
    html = sent_to(browser, "/studies/narrow/space", {"high.learning_rate": "0.1", "check": "1"}).text
    assert "With these ranges 1 of 2 trials will still fit. Nothing is changed yet." in html
    assert browser.get("/api/v1/studies/narrow").json()["space_version"] == 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("high.learning_rate", "much", "received much, expected a number"),
        ("low.learning_rate", "-1", "domain of scale log"),
        ("low.units", "16.5", "whole number"),
        ("low.learning_rate", "7", "a number below high"),
    ],
)
def test_a_refused_range_is_told_at_its_field(
    browser: TestClient, worker: ScriptedWorker, name: str, text: str, words: str
) -> None:
    worker.submit("refused")
    answer = sent_to(browser, "/studies/refused/space", {name: text})
    assert answer.status_code == 422
    [problem] = re.findall(r'<p class="problem" id="problem-\w+">(.*?)</p>', answer.text)
    assert words in problem
    assert re.search(rf'name="{re.escape(name)}" value="{text}"[^>]*aria-invalid="true"', answer.text)


def test_the_ranges_of_an_ended_study_stay(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("over")
    worker.post("/studies/over:stop", {})
    assert "The study has ended" in browser.get("/studies/over/space").text
    assert sent_to(browser, "/studies/over/space", {"high.learning_rate": "10"}).status_code == 409


def test_pages_of_no_study_are_not_there(browser: TestClient) -> None:
    for path in ("zoom", "space", "rungs", "timeline", "fragments/zoom"):
        assert browser.get(f"/studies/nowhere/{path}").status_code == 404
    assert sent_to(browser, "/studies/nowhere/rounds", {"round": ""}).status_code == 404
