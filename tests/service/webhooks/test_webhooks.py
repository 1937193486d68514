"""Webhooks are created, changed and deleted; their secrets go in and never come out again."""

from __future__ import annotations

from typing import Any

import pytest

from service.use_cases import webhooks
from tests.service.webhooks.post import Post

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = {"name": "chat", "url": "https://1.1.1.1/hook", "events": ["study_done"]}


def test_a_secret_that_is_made_is_shown_once(post: Post) -> None:
    answer = post.wire.client.post("/api/v1/webhooks", json=NEW)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made, webhook = answer.json()["secret"], answer.json()["webhook"]
    assert made.startswith("whsec_")
    path = f"/webhooks/{webhook['webhook_id']}"
    assert post.wire.get(path) == webhook
    assert "secret" not in str(webhook).replace("old_secret_until", "")
    other = post.wire.post(f"{path}:rotate", {})["secret"]
    assert other.startswith("whsec_")
    assert other != made
    assert made not in str(post.wire.get(path))


def test_a_secret_that_is_given_is_not_shown_at_all(post: Post) -> None:
    answer = post.wire.post("/webhooks", NEW | {"secret": SECRET})
    assert answer["secret"] is None
    assert SECRET not in str(answer)


def test_defaults_are_filled_in(post: Post) -> None:
    webhook = post.wire.post("/webhooks", NEW)["webhook"]
    assert webhook["studies"] is None
    assert webhook["is_active"] is True
    assert webhook["rules"]["storm_failures"] == 5
    assert webhook["rules"]["stagnant_trials"] == 50
    assert webhook["counts"] == {}


def test_what_is_given_is_changed_and_the_rest_stays(post: Post) -> None:
    webhook = post.wire.post("/webhooks", NEW | {"studies": ["a-*"]})["webhook"]
    path = f"/webhooks/{webhook['webhook_id']}"
    post.wire.clock.advance(1)
    status, changed = post.wire.ask("PATCH", path, {"name": "other", "url": "https://1.0.0.1", "studies": None})
    assert status == 200
    assert changed == webhook | {
        "name": "other",
        "url": "https://1.0.0.1/",
        "studies": None,
        "updated_at": changed["updated_at"],
    }
    assert changed["updated_at"] > webhook["updated_at"]
    assert post.wire.ask("PATCH", path, {}) == (200, changed)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://1.1.1.1/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "url"),
        ({"url": "https://0x7f.1/"}, "url"),
        ({"url": "https://user:word@1.1.1.1/"}, "url"),
        ({"url": "https://1.1.1.1:25/"}, "url"),
        ({"url": "https://no-such-host.invalid/"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://1.1.1.1/" + "a" * 2000}, "url"),
        ({"events": []}, "events"),
        ({"events": ["ping"]}, "events.0"),
        ({"events": ["study_done", "study_done"]}, "events"),
        ({"studies": []}, "studies"),
        ({"studies": ["a*b"]}, "studies.0"),
        ({"studies": ["../x"]}, "studies.0"),
        ({"name": ""}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"rules": {"storm_failures": 1}}, "rules.storm_failures"),
        ({"rules": {"best_every_s": -1.0}}, "rules.best_every_s"),
        ({"is_active": "yes"}, "is_active"),
    ],
)
def test_what_cannot_be_is_refused_at_creation_and_at_a_change(post: Post, change: dict[str, Any], field: str) -> None:
    webhook = post.wire.post("/webhooks", NEW)["webhook"]
    for method, path, body in (
        ("POST", "/webhooks", NEW | change),
        ("PATCH", f"/webhooks/{webhook['webhook_id']}", change),
    ):
        status, answer = post.wire.ask(method, path, body)
        assert (status, answer["code"]) == (422, "invalid_request"), answer
        assert [error["field"] for error in answer["errors"]] == [field]
    assert post.wire.get("/webhooks")["items"] == [webhook]


@pytest.mark.parametrize("secret", ["short", "whsec_c2hvcnQ=", 5, "whsec_" + "A" * 200])
def test_a_secret_that_is_none_is_refused_without_being_repeated(post: Post, secret: Any) -> None:
    status, answer = post.wire.ask("POST", "/webhooks", NEW | {"secret": secret})
    assert status == 422
    assert [error["field"] for error in answer["errors"]] == ["secret"]
    assert str(secret) == "5" or str(secret) not in str(answer)


@pytest.mark.parametrize("field", ["name", "url", "events", "is_active", "rules"])
def test_a_field_that_is_needed_cannot_be_taken_away(post: Post, field: str) -> None:
    webhook = post.wire.post("/webhooks", NEW)["webhook"]
    status, answer = post.wire.ask("PATCH", f"/webhooks/{webhook['webhook_id']}", {field: None})
    assert status == 422
    assert [error["field"] for error in answer["errors"]] == [field]


def test_a_webhook_that_is_deleted_is_gone(post: Post) -> None:
    webhook = post.wire.post("/webhooks", NEW)["webhook"]
    path = f"/webhooks/{webhook['webhook_id']}"
    assert post.wire.ask("DELETE", path)[0] == 204
    assert post.wire.refused("DELETE", path) == "404 not_found"
    assert post.wire.refused("GET", path) == "404 not_found"
    assert post.wire.refused("POST", f"{path}:ping") == "404 not_found"
    assert post.wire.refused("POST", f"{path}/deliveries/1:redeliver") == "404 not_found"


def test_there_is_a_most_of_webhooks(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MAX_WEBHOOKS", 2)
    for _ in range(2):
        post.wire.post("/webhooks", NEW)
    assert post.wire.refused("POST", "/webhooks", NEW) == "409 state_conflict"
