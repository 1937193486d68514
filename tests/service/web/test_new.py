"""The form of a new study as it comes from the server: it works without script, and nothing typed is lost."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from service.search.registry import PRUNERS, SAMPLERS
from service.web.forms.draft import MAX_ROWS, Draft, from_pairs
from service.web.forms.plugins import kinds
from service.web.forms.previewing import MAX_PICTURES
from service.web.pages.new import MAX_FORM_BYTES, MAX_INPUTS
from tests.service.web.forms.browsing import inputs
from tests.service.web.forms.studies import pairs
from tests.service.web.trials import ScriptedWorker

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
PROBLEM = re.compile(r'<p class="problem" id="p-([^"]+)">(.*?)</p>')


def send(browser: TestClient, sent: list[tuple[str, str]], act: str, path: str = "/new") -> Response:
    return browser.post(path, content=urlencode([*sent, ("do", act)]), headers=FORM)


def changed(sent: list[tuple[str, str]], changes: Mapping[str, str]) -> list[tuple[str, str]]:
    assert set(changes) <= {name for name, _ in sent}, "the form has these inputs"
    return [(name, changes.get(name, text)) for name, text in sent]


def problems(page: str) -> dict[str, str]:
    return {name: html.unescape(text) for name, text in PROBLEM.findall(page)}


@pytest.fixture
def blank(browser: TestClient) -> list[tuple[str, str]]:
    """The form as it comes first."""
    return inputs(browser.get("/new").text)


def stored(worker: ScriptedWorker, name: str) -> dict[str, Any]:
    body: dict[str, Any] = worker.http.get(f"/api/v1/studies/{name}").json()
    return body


def test_a_first_study_needs_nothing(browser: TestClient, blank: list[tuple[str, str]], worker: ScriptedWorker) -> None:
    answer = send(browser, blank, "create")
    assert answer.status_code == 303, problems(answer.text)
    assert answer.headers["location"] == "/studies/mlp-digits"
    study = stored(worker, "mlp-digits")
    assert study["objective"] == {"name": "mlp", "config": {"dataset": "digits"}}
    assert study["space"]["beta_1"]["scale"] == "reverse_log"
    assert study["strategy"] == {"kind": "coarse_to_fine"}
    again = browser.get("/new").text
    assert dict(inputs(again))["name"] == "mlp-digits-2", "a name that is free"


def test_the_same_form_sent_twice_is_one_study(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    first, second = (send(browser, blank, "create").headers["location"] for _ in range(2))
    assert first == second


def test_the_study_of_the_form_is_the_one_of_its_text(
    browser: TestClient, blank: list[tuple[str, str]], worker: ScriptedWorker
) -> None:
    shown = send(browser, blank, "", "/new/preview").text
    written = re.search(r'aria-label="The study as JSON">(.*?)</pre>', shown, re.DOTALL)
    assert written
    assert send(browser, blank, "create").status_code == 303
    again = worker.http.post("/api/v1/studies", json=json.loads(html.unescape(written[1])))
    assert again.status_code == 200, "found as the same study"


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"name": "No Slug"}, "name"),
        ({"budget.max_trials": "many"}, "budget.max_trials"),
        ({"budget.max_trials": ""}, "budget.max_trials"),
        ({"budget.max_epochs": "0"}, "budget.max_epochs"),
        ({"budget.max_seconds": "2 moons"}, "budget.max_seconds"),
        ({"space.1.low": "0.2"}, "space.1.low"),
        ({"space.1.low": "small"}, "space.1.low"),
        ({"space.1.high": "1e999"}, "space.1.high"),
        ({"space.1.low": "0"}, "space.1.low"),
        ({"space.0.name": "learning_rate"}, "space.1.name"),
        ({"space.0.name": ""}, "space.0.name"),
        ({"space.0.choices": "adam,,sgd"}, "space.0.choices"),
        ({"space.0.choices": "adam, adam"}, "space.0.choices"),
        ({"space.0.choices": "nesterov, adam, adamw, ada"}, "space.0.choices"),
        ({"space.2.when": "optimizer"}, "space.2.when"),
        ({"space.2.when": "optimizer = sgd"}, "space.2.when"),
        ({"space.8.step": "-1"}, "space.8.step"),
        ({"space.1.name": "lr!"}, "space.1.name"),
        ({"config.0.value": "digit"}, "config.0.value"),
        ({"config.0.name": "datset"}, "config.0.value"),
        ({"strategy.coarse_to_fine.startup_trials": "0"}, "strategy.coarse_to_fine.startup_trials"),
        ({"strategy.kind": "annealing"}, "strategy.kind"),
        ({"pruner.kind": "threshold"}, "pruner.threshold.upper"),
        ({"pruner.kind": "patient", "pruner.patient.wrapped": "wilcoxn"}, "pruner.patient.wrapped"),
        ({"early_stopping.patience": "-1"}, "early_stopping.patience"),
        ({"requires.memory_bytes": "lots"}, "requires.memory_bytes"),
        ({"warm_start": "nothing-such"}, "warm_start"),
        ({"objective.name": "Ghost"}, "objective.name"),
        ({"seed": "-1"}, "seed"),
        ({"seed": "9" * 5000}, "seed"),
    ],
)
def test_errors_stand_at_their_inputs(
    browser: TestClient, blank: list[tuple[str, str]], changes: dict[str, str], at: str
) -> None:
    sent = changed(blank, changes)
    answer = send(browser, sent, "create")
    assert answer.status_code == 422
    assert at in problems(answer.text), problems(answer.text)
    assert "xpected" in problems(answer.text)[at]
    marked = re.search(rf'<(?:input|select)[^>]*id="f-{re.escape(at)}"[^>]*>', answer.text)
    if marked:
        assert 'aria-invalid="true"' in marked[0]
        assert f"p-{at}" in marked[0]
    assert f'href="#f-{at}"' in answer.text, "the summary leads to it"
    assert dict(inputs(answer.text)) == dict(sent), "nothing typed is lost"


def test_many_errors_are_told_together(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    answer = send(browser, changed(blank, {"name": "A", "seed": "x", "space.1.low": "y", "retries": "1000"}), "create")
    assert set(problems(answer.text)) == {"name", "seed", "space.1.low", "retries"}
    assert "4 things to fix" in answer.text


def test_a_range_that_is_too_small_for_its_step_is_told_at_the_step(
    browser: TestClient, blank: list[tuple[str, str]]
) -> None:
    answer = send(browser, changed(blank, {"space.8.step": "0.7"}), "preview")
    assert set(problems(answer.text)) == {"space.8.step"}


def test_a_taken_name_comes_back_with_the_form(
    browser: TestClient, blank: list[tuple[str, str]], worker: ScriptedWorker
) -> None:
    worker.submit("taken")
    sent = changed(blank, {"name": "taken", "seed": "42"})
    answer = send(browser, sent, "create")
    assert answer.status_code == 409
    assert "another study has this name" in problems(answer.text)["name"]
    assert dict(inputs(answer.text)) == dict(sent)
    assert "a name that no study has" in problems(send(browser, sent, "preview").text)["name"]


def test_from_another_study(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("first", tags={"why": "a\nb"}, pruner={"kind": "median", "n_startup_trials": 3})
    page = browser.get("/new?from=first").text
    sent = inputs(page)
    assert dict(sent)["name"] == "first-2"
    assert 'A copy of <a href="/studies/first">first</a>' in page
    assert send(browser, sent, "create").status_code == 303
    first, second = stored(worker, "first"), stored(worker, "first-2")
    for field in ("objective", "metric", "space", "strategy", "pruner", "early_stopping", "budget", "seed", "tags"):
        assert first[field] == second[field]


def test_from_a_study_or_an_objective_that_is_not_there(browser: TestClient) -> None:
    assert browser.get("/new?from=ghost").status_code == 404
    answer = browser.get("/new?objective=Ghost")
    assert answer.status_code == 422
    assert "one of mlp" in answer.text


def test_from_an_objective_that_a_worker_offers(browser: TestClient, worker: ScriptedWorker) -> None:
    space = {"width": {"type": "int", "low": 1, "high": 9}}
    offer = {"name": "Circles", "space": space}
    worker.post("/workers", {"name": "box-3", "host": "box", "slots": 1, "objectives": [offer]})
    page = browser.get("/new?objective=Circles").text
    assert dict(inputs(page))["name"] == "circles"
    assert dict(inputs(page))["space.0.name"] == "width"
    assert "1 connected worker can train it now" in page
    assert send(browser, inputs(page), "create").status_code == 303
    assert stored(worker, "circles")["space"]["width"]["high"] == 9


def test_another_objective_takes_what_was_suggested_and_leaves_what_was_typed(
    browser: TestClient, blank: list[tuple[str, str]], worker: ScriptedWorker
) -> None:
    offer = {"name": "Circles", "space": {"width": {"type": "int", "low": 1, "high": 9}}}
    worker.post("/workers", {"name": "box-3", "host": "box", "slots": 1, "objectives": [offer]})
    fresh = dict(inputs(send(browser, changed(blank, {"objective.name": "Circles"}), "objective").text))
    assert fresh["space.0.name"] == "width"
    assert fresh["name"] == "circles"
    assert "config.0.name" not in fresh
    typed = changed(blank, {"objective.name": "Circles", "space.1.high": "0.2", "name": "mine"})
    kept = dict(inputs(send(browser, typed, "objective").text))
    assert kept["space.1.high"] == "0.2"
    assert kept["name"] == "mine"
    assert dict(inputs(send(browser, typed, "defaults").text))["space.0.name"] == "width"


PASTED = """
name: pasted
objective: {name: mlp, config: {dataset: wine}}
space:
  learning_rate: {type: float, low: 1e-4, high: 1e-1, scale: log}
early_stopping: null
"""


@pytest.mark.parametrize(
    "text", [PASTED, '{"name": "pasted", "objective": {"name": "mlp", "config": {"dataset": "wine"}}}']
)
def test_a_pasted_study_fills_the_form(browser: TestClient, blank: list[tuple[str, str]], text: str) -> None:
    filled = dict(inputs(send(browser, changed(blank, {"pasted": text}), "paste").text))
    assert filled["name"] == "pasted"
    assert filled["config.0.value"] == "wine"
    assert ("early_stopping" in filled) == text.startswith("{")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds nothing"),
        ("- a\n- b", "holds a list"),
        ("a: [1", "neither YAML nor JSON"),
        ("{", "neither YAML nor JSON"),
        ("{" * 5000, "neither YAML nor JSON"),
        ("name: x\nname: y", "is there twice"),
        ("objective: {name: mlp}\nbudget: {max_trial: 3}", "did you mean 'max_trials'"),
        ("objective: 3", "objective: Received 3"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*c]", "inside of what it stands for"),
        ("x: !!python/object/apply:os.system [ls]", "neither YAML nor JSON"),
        ("name: 'a\udc00'".encode("utf-8", "replace").decode(), "name: Received"),
    ],
)
def test_a_pasted_text_that_is_no_study_says_why(
    browser: TestClient, blank: list[tuple[str, str]], text: str, told: str
) -> None:
    sent = changed(blank, {"pasted": text})
    answer = send(browser, sent, "paste")
    assert answer.status_code == 422
    assert told in html.unescape(answer.text)
    assert dict(inputs(answer.text)) == dict(sent)


def test_rows_come_and_go_without_script(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    added = inputs(send(browser, blank, "add space").text)
    assert ("space.9.name", "") in added
    assert send(browser, added, "create").status_code == 303, "an empty row is no parameter"
    moved = [name for name, _ in inputs(send(browser, added, "up space 1").text) if re.match(r"space\.\d+\.name", name)]
    assert moved[:2] == ["space.1.name", "space.0.name"]
    removed = dict(inputs(send(browser, added, "remove space 0").text))
    assert "space.0.name" not in removed
    assert ("tags.0.name", "") in inputs(send(browser, blank, "add tags").text)
    assert dict(inputs(send(browser, blank, "set space.1.scale linear").text))["space.1.scale"] == "linear"


def test_a_button_that_the_form_does_not_have_is_refused(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    for act in ("explode", "remove", "remove space 99", "up", "add nothing", "set"):
        assert send(browser, blank, act).status_code == 422, act


def test_every_strategy_and_pruner_can_be_submitted(
    browser: TestClient, blank: list[tuple[str, str]], worker: ScriptedWorker
) -> None:
    for number, (plugin, kind) in enumerate(
        [("strategy", kind) for kind in SAMPLERS] + [("pruner", k) for k in PRUNERS]
    ):
        changes = {"name": f"study-{number}", f"{plugin}.kind": kind}
        if kind == "threshold":
            changes["pruner.threshold.upper"] = "10"
        if kind == "patient":
            changes["pruner.patient.wrapped"] = "median"
        answer = send(browser, changed(blank, changes), "create")
        assert answer.status_code == 303, (kind, problems(answer.text))
        assert stored(worker, f"study-{number}")[plugin]["kind"] == kind


@pytest.mark.parametrize("plugin", ["strategy", "pruner"])
def test_every_kind_and_option_is_explained(plugin: str) -> None:
    assert {kind.name for kind in kinds(plugin)} == set(SAMPLERS if plugin == "strategy" else PRUNERS)
    for kind in kinds(plugin):
        assert len(kind.summary) > 20
        for option in kind.options:
            assert option.hint.endswith("."), (kind.name, option.name)


ADVICE = [
    (
        {"space.1.scale": "linear"},
        "learning_rate, scale: on a linear scale half of the draws lie above 0.05",
        "Use log",
    ),
    ({"space.3.scale": "linear"}, "the 1−β scale looks closer near 1", "Use 1−β"),
    ({"early_stopping.patience": "40"}, "a patience of 40 never ends a trial of 30 epochs", ""),
    ({"metric.name": "val_accuracy"}, "val_accuracy looks like a score", "Maximize it"),
    ({"metric.direction": "maximize"}, "val_loss looks like a loss", "Minimize it"),
    ({"budget.max_epochs": "2"}, "end before the first comparison at 2", ""),
    ({"budget.max_trials": "9"}, "the first 12 trials only look around", ""),
    ({"strategy.kind": "grid"}, "configurations, of which 60 are tried", ""),
    ({"space.8.name": "l2"}, "includes the penalty of l2", ""),
]


@pytest.mark.parametrize(("changes", "told", "offer"), ADVICE)
def test_what_is_worth_knowing_is_told(
    browser: TestClient, blank: list[tuple[str, str]], changes: dict[str, str], told: str, offer: str
) -> None:
    assert told not in html.unescape(send(browser, blank, "", "/new/preview").text)
    page = html.unescape(send(browser, changed(blank, changes), "", "/new/preview").text)
    assert told in re.sub(r"<[^>]+>", "", page)
    if offer:
        act = re.search(rf'name="do" value="(set [^"]+)">{offer}<', page)
        assert act
        after = html.unescape(send(browser, changed(blank, changes), act[1]).text)
        assert told not in re.sub(r"<[^>]+>", "", after)


def test_few_configurations_are_told(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    rest = [(name, text) for name, text in blank if not re.match(r"space\.[1-8]\.", name)]
    page = send(browser, rest, "", "/new/preview").text
    assert "there are only 4 configurations" in page


def test_half_of_the_draws_of_beta_lie_above(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    near_one = changed(blank, {"space.3.low": "0.9"})
    page = send(browser, near_one, "", "/new/preview").text
    assert "1−β scale: half of the draws lie above 0.99<" in page.replace(";", "<")
    linear = changed(near_one, {"space.3.scale": "linear"})
    assert "linear scale: half of the draws lie above 0.95" in send(browser, linear, "", "/new/preview").text


def test_the_preview_says_who_can_train_it(
    browser: TestClient, blank: list[tuple[str, str]], worker: ScriptedWorker
) -> None:
    assert "No connected worker can train it yet" in send(browser, blank, "", "/new/preview").text
    ScriptedWorker(worker.http, "box-2", objective="mlp")
    assert "1 connected worker can train it now" in send(browser, blank, "", "/new/preview").text
    on_gpu = changed(blank, {"requires.device": "gpu"})
    assert "No connected worker" in send(browser, on_gpu, "", "/new/preview").text


def test_an_option_that_a_strategy_lacks_can_be_emptied(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    sent = [*blank, ("strategy.random.speed", "9")]
    page = send(browser, changed(sent, {"strategy.kind": "random"}), "create")
    assert page.status_code == 422
    assert "nothing: random has no options" in problems(page.text)["strategy.random.speed"]


HOSTILE = '"><script>alert(1)</script>\u202e\ufeff𝔘'


def test_hostile_texts_are_shown_as_texts(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    names = [name for name, _ in blank if not name.endswith(("kind", "type"))]
    answer = send(browser, changed(blank, dict.fromkeys(names, HOSTILE)), "create")
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert dict(inputs(answer.text))["name"] == HOSTILE


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"name=" + b"x" * MAX_FORM_BYTES, FORM["Content-Type"], 413),
        (b"&".join(b"seed=1" for _ in range(MAX_INPUTS + 1)), FORM["Content-Type"], 413),
        (b"&".join(b"space.%d.name=a" % n for n in range(MAX_ROWS + 1)), FORM["Content-Type"], 413),
        (b"name=" + b"x" * 30_000, FORM["Content-Type"], 413),
        (b"name=%ff%fe", FORM["Content-Type"], 422),
        (b"name=\xff", FORM["Content-Type"], 422),
        (b"nose=1", FORM["Content-Type"], 422),
        (b"space.1.nose=1", FORM["Content-Type"], 422),
        (b"{}", "application/json", 422),
    ],
    ids=["huge", "inputs", "rows", "long", "latin", "bytes", "unknown", "column", "json"],
)
def test_what_nobody_fills_in_is_refused(browser: TestClient, content: bytes, kind: str, status: int) -> None:
    for path in ("/new", "/new/preview"):
        answer = browser.post(path, content=content, headers=FORM | {"Content-Type": kind})
        assert answer.status_code == status
        assert "expected" in answer.text or "caviar submit" in answer.text or "reload the page" in answer.text


def test_an_empty_form_is_told_what_it_lacks(browser: TestClient) -> None:
    answer = browser.post("/new", content=b"do=create", headers=FORM)
    assert answer.status_code == 422
    assert "things to fix" in answer.text


def test_other_sites_cannot_send_the_form(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    foreign = FORM | {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/new", content=urlencode([*blank, ("do", "create")]), headers=foreign).status_code == 403


def test_a_form_keeps_the_order_of_its_rows() -> None:
    draft = from_pairs([("space.7.name", "b"), ("space.2.name", "a")])
    assert list(draft.rows["space"]) == ["7", "2"]
    assert draft.next_key("space") == "8"
    assert dict(pairs(draft))["space.7.name"] == "b"
    assert Draft().next_key("tags") == "0"


def test_the_list_of_studies_and_every_page_lead_here(browser: TestClient) -> None:
    assert 'href="/new"' in browser.get("/").text
    assert 'href="/new"' in browser.get("/workers").text


def test_a_large_space_is_shown_in_part(browser: TestClient, worker: ScriptedWorker) -> None:
    space = {f"p{number}": {"type": "float", "low": 0.0, "high": 1.0} for number in range(256)}
    worker.submit("large", space=space)
    page = browser.get("/new?from=large").text
    assert page.count("<figure") == MAX_PICTURES
    assert f"and {256 - MAX_PICTURES} more parameters" in page
    assert send(browser, inputs(page), "create").status_code == 303


def test_a_space_without_parameters_is_told(browser: TestClient, blank: list[tuple[str, str]]) -> None:
    none = [(name, text) for name, text in blank if not name.startswith("space.")]
    answer = send(browser, none, "create")
    assert set(problems(answer.text)) == {"add.space"}
    assert 'id="f-add.space"' in answer.text
    assert "data-refused" in answer.text
