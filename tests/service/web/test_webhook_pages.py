"""The pages of webhooks, as a browser without script sees them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.use_cases import webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW: dict[str, Any] = {"name": "<b>chat</b>", "url": "https://1.1.1.1/hook?k=<1>", "events": ["new_best", "study_done"]}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def send(browser: TestClient, path: str, **fields: Any) -> Any:
    """Press a button, with what hides in the form that it belongs to."""
    shown = browser.get("/webhooks").text
    hidden = re.search(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', shown)
    found = {hidden.group(1): hidden.group(2)} if hidden else {}
    return browser.post(path, data=found | fields, headers=SAME_ORIGIN)


def made(browser: TestClient, **changes: Any) -> str:
    """The path of a new webhook."""
    answer = send(browser, "/webhooks", **({**NEW, "url": "https://1.1.1.1/hook"} | changes))
    assert answer.status_code == 200, answer.text
    found = re.search(r'action="(/webhooks/\d+)/ping"', answer.text)
    assert found is not None
    return found.group(1)


def test_without_webhooks_the_page_offers_the_form(browser: TestClient) -> None:
    html = browser.get("/webhooks").text
    assert "Nobody is told anything yet." in html
    assert html.count('name="events"') == 4
    assert '<a class="aside" href="/webhooks">Webhooks</a>' in browser.get("/").text


def test_a_made_secret_is_shown_once(browser: TestClient) -> None:
    answer = send(browser, "/webhooks", **{**NEW, "url": "https://1.1.1.1/hook"})
    [secret] = re.findall(r'<code class="once">(whsec_[^<]+)</code>', answer.text)
    assert answer.headers["Cache-Control"] == "no-store"
    [path] = re.findall(r'action="(/webhooks/\d+)/ping"', answer.text)
    assert secret not in browser.get(path).text
    assert "&lt;b&gt;chat&lt;/b&gt;" in browser.get("/webhooks").text
    again = send(browser, f"{path}/secret/rotate")
    [other] = re.findall(r'<code class="once">(whsec_[^<]+)</code>', again.text)
    assert other != secret
    assert "signs as well until" in again.text


def test_a_given_secret_is_not_shown(browser: TestClient) -> None:
    answer = send(browser, "/webhooks", **{**NEW, "url": "https://1.1.1.1/hook", "secret": SECRET})
    assert SECRET not in answer.text
    assert "with the secret that you gave" in answer.text


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "http://1.1.1.1/"}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["ping"]}, "events"),
        ({"studies": "a*b"}, "studies"),
        ({"secret": "short"}, "secret"),
        ({"name": ""}, "name"),
        ({"storm_failures": "many"}, "storm_failures"),
        ({"storm_failures": "1"}, "storm_failures"),
        ({"best_every_s": "inf"}, "best_every_s"),
        ({"stagnant_trials": "0"}, "stagnant_trials"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_the_rest_stays_typed(
    browser: TestClient, fields: dict[str, Any], name: str
) -> None:
    answer = send(browser, "/webhooks", **{**NEW, "url": "https://1.1.1.1/hook", "studies": "mine-*"} | fields)
    assert answer.status_code == 422
    assert f'id="{name}-problem" role="alert"' in answer.text
    if "studies" not in fields:
        assert 'value="mine-*"' in answer.text
    assert "short" not in answer.text.replace("shortened", "")
    assert "Nobody is told anything yet." in answer.text


def test_rules_are_taken_from_the_form(browser: TestClient) -> None:
    path = made(browser, best_every_s="5", storm_failures="9", stagnant_trials="", stagnant_epochs="700")
    html = browser.get(path).text.replace("\u202f", " ")
    for text in ("at most one of a study in 5.0 s", "9 trials within 10 min", "<dd>700 epochs</dd>"):
        assert text in html


def test_a_webhook_is_tried_turned_off_and_deleted(browser: TestClient) -> None:
    path = made(browser)
    assert "Nothing has been sent yet" in browser.get(path).text
    answer = send(browser, f"{path}/ping")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{path}?did=pinged")
    html = browser.get(answer.headers["Location"]).text
    assert "A ping is on its way" in html
    assert "a ping of the webhook &amp;lt;b" in html
    [delivery] = re.findall(r'action="(/webhooks/\d+/deliveries/\d+/redeliver)"', html)
    assert send(browser, delivery).status_code == 303
    assert send(browser, f"{path}/off").headers["Location"] == f"{path}?did=off"
    refused = send(browser, f"{path}/ping")
    assert refused.status_code == 409
    assert "turned off" in refused.text
    assert send(browser, f"{path}/on").status_code == 303
    assert send(browser, f"{path}/all/delete").headers["Location"] == "/webhooks?did=deleted"
    assert browser.get(path).status_code == 404
    assert "The webhook is deleted." in browser.get("/webhooks?did=deleted").text


def test_older_deliveries_are_on_further_pages(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(browser)
    real = webhooks.list_deliveries
    monkeypatch.setattr(webhooks, "list_deliveries", lambda tx, one, **given: real(tx, one, **{**given, "limit": 1}))
    for _ in range(2):
        send(browser, f"{path}/ping")
    [older] = re.findall(rf'href="({path}\?after=\d+)"', browser.get(path).text)
    assert "Older deliveries" not in browser.get(older).text


@pytest.mark.parametrize("path", ["/webhooks/999", "/webhooks/0", "/webhooks/x"])
def test_a_page_of_no_webhook_says_so(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code in (404, 422)
