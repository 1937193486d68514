"""The pages of tokens, links and the audit log, and what a page offers to whom."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from tests.service.web.trials import ScriptedWorker

_HOME = {"Origin": "http://testserver"}


def _secret(html: str) -> str:
    [found] = re.findall(r'<code class="once">([^<]+)</code>', html)
    return str(found)


@pytest.fixture
def guest(browser: TestClient) -> TestClient:
    """Another browser, which has not signed in."""
    return TestClient(browser.app, follow_redirects=False, headers={"Accept": "text/html"})


def test_a_secret_is_shown_once_and_signs_in_with_the_rights_of_its_role(
    browser: TestClient, guest: TestClient, worker: ScriptedWorker
) -> None:
    worker.submit("digits")
    made = browser.post("/tokens", data={"name": "reader", "role": "viewer", "days": "30"}, headers=_HOME)
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    secret = _secret(made.text)
    assert secret not in browser.get("/tokens").text
    assert "reader" in browser.get("/tokens").text
    assert guest.post("/login", data={"token": secret}).status_code == 303
    page = guest.get("/studies/digits").text
    for word in ("study-actions", 'href="/new"', 'href="/tokens"'):
        assert word in browser.get("/studies/digits").text, word
        assert word not in page, word
    assert "do-digits" not in guest.get("/").text
    assert guest.get("/new").status_code == 403
    assert "csrf" in page, "it can sign out"


def test_what_is_wrong_with_a_token_is_said(browser: TestClient) -> None:
    answer = browser.post("/tokens", data={"name": "x", "role": "king", "scope": "Digits"}, headers=_HOME)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "Digits" in answer.text
    assert 'class="once"' not in answer.text


def test_a_link_shows_its_study_in_another_browser_until_it_is_revoked(
    browser: TestClient, guest: TestClient, worker: ScriptedWorker
) -> None:
    worker.submit("digits")
    worker.submit("other")
    link = _secret(browser.post("/studies/digits/shares", data={"days": "7"}, headers=_HOME).text)
    assert link.startswith("http://testserver/share/cvr_")
    opened = guest.get(link.removeprefix("http://testserver"))
    assert (opened.status_code, opened.headers["location"]) == (303, "/studies/digits")
    assert opened.headers["referrer-policy"] in ("no-referrer", "same-origin"), "other sites never see the link"
    assert guest.get("/studies/digits").status_code == 200
    assert guest.get("/studies/other").status_code == 404
    assert "other" not in guest.get("/").text
    assert guest.get("/workers").status_code == 403
    shares = browser.get("/studies/digits/shares").text
    [token_id] = re.findall(r'action="/tokens/(\d+)/revoke"', shares)
    gone = browser.post(f"/tokens/{token_id}/revoke", data={"study": "digits"}, headers=_HOME)
    assert (gone.status_code, gone.headers["location"]) == (303, "/studies/digits/shares")
    assert guest.get("/studies/digits").headers["location"].startswith("/login")
    assert guest.get(link.removeprefix("http://testserver")).status_code == 404


def test_a_link_does_not_take_a_better_session_away(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("digits")
    link = _secret(browser.post("/studies/digits/shares", data={}, headers=_HOME).text)
    answer = browser.get(link.removeprefix("http://testserver"))
    assert answer.status_code == 303
    assert "set-cookie" not in answer.headers
    assert browser.get("/workers").status_code == 200


def test_every_form_that_writes_carries_the_token_of_the_session(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("digits")
    expected = browser.headers["X-CSRF-Token"]
    for path in (
        "/",
        "/studies/digits",
        "/studies/digits/clone",
        "/studies/digits/delete",
        "/new",
        "/workers",
        "/tokens",
    ):
        html = browser.get(path).text
        forms = re.findall(r'<form [^>]*method="post".*?</form>', html, re.DOTALL)
        assert forms, path
        for form in forms:
            assert f'name="csrf" value="{expected}"' in form, (path, form[:200])


def test_a_form_is_taken_by_its_token_alone_or_not_at_all(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("digits")
    own = browser.headers.pop("X-CSRF-Token")
    assert browser.post("/studies/digits/pause", data={"csrf": "0" * 64}, headers=_HOME).status_code == 403
    assert browser.post("/studies/digits/pause", headers=_HOME).status_code == 403
    assert browser.post("/studies/digits/pause", data={"csrf": own, "back": ""}, headers=_HOME).status_code == 303


def test_the_audit_log_is_searched(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("digits")
    browser.post("/studies/digits/pause", headers=_HOME)
    html = browser.get("/audit", params={"action": "study.pause"}).text
    assert "study:digits" in html
    assert "session.open" not in re.findall(r"<tbody>.*</tbody>", html, re.DOTALL)[0]
    assert "Nothing of that kind" in browser.get("/audit", params={"actor": "nobody-else"}).text
    assert browser.get("/audit", params={"since": "2026-13-45"}).status_code == 200


def test_signing_out_everywhere_ends_other_browsers(browser: TestClient, guest: TestClient) -> None:
    assert guest.get("/login", params={"token": "a-token-of-the-tests-only"}).status_code == 303
    assert guest.get("/").status_code == 200
    assert "Sign out everywhere" in browser.get("/session").text
    assert browser.post("/logout/everywhere", headers=_HOME).status_code == 303
    assert guest.get("/").headers["location"].startswith("/login")


def test_too_many_guesses_have_to_wait(guest: TestClient) -> None:
    answers = [guest.post("/login", data={"token": f"guess-{number}"}).status_code for number in range(11)]
    assert answers == [401] * 10 + [429]
    late = guest.post("/login", data={"token": "a-token-of-the-tests-only"})
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) >= 1
    assert "set-cookie" not in late.headers
