"""What can be done with a study from its pages: at once with a way back, or after a question."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.web.trials import ScriptedWorker


@pytest.fixture
def study(worker: ScriptedWorker) -> str:
    """A study of one complete and one running trial."""
    worker.submit("digits", tags={"owner": "ann"})
    complete, running = worker.claim(2)
    worker.report(complete, 0.9, 0.5)
    worker.finish(complete)
    worker.report(running, 0.6)
    return "digits"


def state(browser: TestClient, name: str) -> str:
    return str(browser.get(f"/api/v1/studies/{name}").json()["state"])


def send(browser: TestClient, path: str, **fields: str) -> Any:
    """The answer to a form of one of the service's own pages."""
    return browser.post(path, data=fields, headers={"Origin": "http://testserver"})


def undo(html: str) -> tuple[str, dict[str, str]]:
    """The address and the fields of the form that takes back what a notice tells."""
    notice = html[html.index('class="notice"') :]
    found = re.search(
        r'action="([^"]+)"><input [^>]*name="csrf"[^>]*><input type="hidden" name="back" value="([^"]*)">', notice
    )
    assert found
    return found[1], {"back": unescape(found[2])}


def test_a_pause_is_told_and_taken_back_where_it_was_made(browser: TestClient, study: str) -> None:
    for back in ("", "/studies/digits/setup", "/?state=running&state=paused&sort=name"):
        answer = send(browser, "/studies/digits/pause", back=back)
        assert answer.status_code == 303
        target = answer.headers["location"]
        assert target.startswith(back or "/studies/digits")
        assert state(browser, study) == "paused"
        html = browser.get(target).text
        assert "is paused: it hands out no more trials" in html
        path, fields = undo(html)
        answer = send(browser, path, **fields)
        assert answer.status_code == 303
        assert state(browser, study) == "running"
        assert "hands out trials again" in browser.get(answer.headers["location"]).text


def test_a_notice_is_given_only_while_it_is_true(browser: TestClient, study: str) -> None:
    assert 'class="notice"' not in browser.get("/studies/digits?done=paused").text
    assert 'class="notice"' not in browser.get("/?done=paused&about=digits").text
    assert 'class="notice"' not in browser.get("/?done=paused&about=nobody").text
    refused = browser.get("/studies/digits?done=%3Cb%3Ehacked")
    assert refused.status_code == 422
    assert "<b>hacked" not in refused.text


@pytest.mark.parametrize(
    "back",
    ["//elsewhere.example", "https://elsewhere.example/", "/studies/other", "/?sort=size", "javascript:alert(1)"],
)
def test_nobody_is_led_elsewhere(browser: TestClient, study: str, back: str) -> None:
    answer = send(browser, "/studies/digits/pause", back=back)
    assert answer.status_code == 422
    assert state(browser, study) == "running"


def test_a_study_that_has_ended_cannot_be_resumed_and_the_page_says_so(browser: TestClient, study: str) -> None:
    send(browser, "/studies/digits/stop")
    answer = send(browser, "/studies/digits/resume")
    assert answer.status_code == 409
    assert "has ended (stopped)" in answer.text
    assert 'href="/studies/digits/clone"' in answer.text


def test_stopping_asks_first_and_says_what_is_lost(browser: TestClient, study: str) -> None:
    html = browser.get("/studies/digits/stop").text
    assert "1 running trial is cancelled" in html
    assert "the best val_loss of 0.5" in html
    assert state(browser, study) == "running"
    answer = send(browser, "/studies/digits/stop")
    assert answer.headers["location"] == "/studies/digits?done=stopped"
    assert state(browser, study) == "stopped"
    assert "What was measured stays" in browser.get(answer.headers["location"]).text
    assert "has ended already" in browser.get("/studies/digits/stop").text


def test_a_clone_gets_a_suggested_name_or_another(browser: TestClient, study: str) -> None:
    assert 'value="digits-2"' in browser.get("/studies/digits/clone").text
    answer = send(browser, "/studies/digits/clone", new_name=" digits-2 ")
    assert answer.headers["location"] == "/studies/digits-2?done=cloned"
    html = browser.get(answer.headers["location"]).text
    assert "starts afresh" in html
    assert 'href="/studies/digits-2/delete"' in html
    assert 'value="digits-3"' in browser.get("/studies/digits-2/clone").text


def test_a_refused_name_is_told_at_the_field_and_kept(browser: TestClient, worker: ScriptedWorker, study: str) -> None:
    worker.submit("taken", seed=99)
    for name, status, told in (("Not a Slug", 422, "a slug"), ("", 422, "a slug"), ("taken", 409, "has this name")):
        answer = send(browser, "/studies/digits/clone", new_name=name)
        assert answer.status_code == status
        problem = re.findall(r'id="new-name-problem" role="alert">([^<]+)', answer.text)
        assert told in unescape(problem[0])
        assert f'value="{name}"' in answer.text
    assert send(browser, "/studies/nobody/clone", new_name="x").status_code == 404


def test_deleting_wants_the_name_and_says_what_goes(browser: TestClient, study: str) -> None:
    html = browser.get("/studies/digits/delete").text
    assert "2 trials go" in html
    assert "1 running trial is lost" in html
    answer = send(browser, "/studies/digits/delete", confirmed="digit")
    assert answer.status_code == 422
    assert "received &#39;digit&#39;, expected &#39;digits&#39;" in answer.text
    assert state(browser, study) == "running"
    answer = send(browser, "/studies/digits/delete", confirmed="digits")
    assert answer.headers["location"] == "/?done=deleted"
    assert "The study is deleted" in browser.get(answer.headers["location"]).text
    assert browser.get("/studies/digits").status_code == 404
    assert send(browser, "/studies/digits/delete", confirmed="digits").status_code == 404


def form_of(html: str) -> dict[str, str]:
    """The fields of the form that edits a study, as a browser would send them."""
    fields = dict(re.findall(r'<input[^>]* name="([^"]+)" value="([^"]*)"', html))
    fields |= dict(re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>([^<]*)</textarea>', html))
    return {name: unescape(value) for name, value in fields.items()}


def test_only_what_was_changed_in_the_form_is_changed(browser: TestClient, study: str) -> None:
    fields = form_of(browser.get("/studies/digits/edit").text)
    assert fields["max_trials"] == fields["was_max_trials"] == "10"
    assert fields["tags"] == "owner: ann"
    # Somebody else is faster; what this form does not touch stays as they set it.
    browser.patch(
        "/api/v1/studies/digits", json={"budget": {"max_trials": 40}}, headers={"Origin": "http://testserver"}
    )
    changes = {"max_seconds": "3600", "target": "0.01", "priority": "5", "tags": "owner: bo\r\n\r\npaper: a: b"}
    answer = send(browser, "/studies/digits/edit", **fields | changes)
    assert answer.headers["location"] == "/studies/digits?done=edited"
    view = browser.get("/api/v1/studies/digits").json()
    assert view["budget"] | {"max_trials": 40, "max_seconds": 3600.0, "target": 0.01} == view["budget"]
    assert view["priority"] == 5
    assert view["tags"] == {"owner": "bo", "paper": "a: b"}
    fields = form_of(browser.get("/studies/digits/edit").text)
    assert fields["max_seconds"] == "3600"
    send(browser, "/studies/digits/edit", **fields | {"max_seconds": ""})
    assert browser.get("/api/v1/studies/digits").json()["budget"]["max_seconds"] is None


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"max_trials": "many"}, "max_trials", "a whole number"),
        ({"max_trials": "0"}, "max_trials", "at least 1"),
        ({"max_trials": ""}, "max_trials", "at least one of max_trials, max_total_epochs and max_seconds"),
        ({"max_epochs": ""}, "max_epochs", "a whole number of at least 1"),
        ({"target": "nan"}, "target", "finite"),
        ({"priority": ""}, "priority", "0 is usual"),
        ({"priority": "5000"}, "priority", "1000"),
        ({"tags": "no colon"}, "tags", "a line such as"),
        ({"tags": "a: 1\na: 2"}, "tags", "only once"),
    ],
)
def test_a_refused_change_is_told_at_its_field_and_kept(
    browser: TestClient, study: str, changes: dict[str, str], field: str, told: str
) -> None:
    fields = form_of(browser.get("/studies/digits/edit").text)
    answer = send(browser, "/studies/digits/edit", **fields | changes)
    assert answer.status_code == 422
    problems = dict(re.findall(r'id="([a-z_]+)-problem" role="alert">([^<]+)', answer.text))
    assert list(problems) == [field]
    assert told in unescape(problems[field])
    assert form_of(answer.text) == fields | changes
    assert browser.get("/api/v1/studies/digits").json()["budget"]["max_trials"] == 10


def test_an_ended_study_is_not_edited(browser: TestClient, study: str) -> None:
    fields = form_of(browser.get("/studies/digits/edit").text)
    send(browser, "/studies/digits/stop")
    assert browser.get("/studies/digits/edit").status_code == 409
    answer = send(browser, "/studies/digits/edit", **fields | {"max_trials": "20"})
    assert answer.status_code == 409
    assert 'class="notice refused"' in answer.text
    assert "has ended" in answer.text


def test_a_study_offers_what_can_be_done_with_it_now(browser: TestClient, study: str) -> None:
    for path in ("/", "/studies/digits"):
        running = browser.get(path).text
        for action in ("pause", "edit", "clone", "stop", "delete"):
            assert f'"/studies/digits/{action}"' in running, (path, action)
        assert 'href="/new?from=digits"' in running
        assert '"/studies/digits/resume"' not in running
    send(browser, "/studies/digits/stop")
    for path in ("/", "/studies/digits"):
        ended = browser.get(path).text
        for action in ("pause", "resume", "edit", "stop"):
            assert f'"/studies/digits/{action}"' not in ended, (path, action)
        assert '"/studies/digits/delete"' in ended


def test_an_ended_study_is_archived_from_its_page_and_from_the_list(browser: TestClient, study: str) -> None:
    assert f"/studies/{study}/archive" not in browser.get("/studies/digits").text
    send(browser, f"/studies/{study}/stop")
    assert f'action="/studies/{study}/archive"' in browser.get("/").text
    answer = send(browser, f"/studies/{study}/archive", back="/")
    assert answer.status_code == 303
    html = browser.get(answer.headers["location"]).text
    assert "is archived: the list leaves it out" in html
    assert 'id="study-digits"' not in html
    path, fields = undo(html)
    assert path == "/studies/digits/unarchive"
    archive = browser.get("/?archived=true").text
    assert 'id="study-digits"' in archive
    assert "/studies/digits/delete" not in archive
    answer = send(browser, path, **fields)
    assert 'id="study-digits"' in browser.get(answer.headers["location"]).text
    assert "The archive is empty." in browser.get("/?archived=true").text


def test_a_live_study_is_not_archived(browser: TestClient, study: str) -> None:
    answer = send(browser, f"/studies/{study}/archive")
    assert answer.status_code == 409
    assert "stop it first" in answer.text
