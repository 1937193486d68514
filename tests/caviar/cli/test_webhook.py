"""`caviar webhook`, and the client's methods on webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from caviar import Client, verify_webhook
from caviar.cli import app, webhook
from caviar.contract.errors import InvalidRequest, NotFound
from caviar.contract.signatures import SignatureRefused
from caviar.contract.webhooks import NewWebhook, WebhookEdit
from tests.service.outbound.receiver import Receiver, answering, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service send to this machine."""
    monkeypatch.setenv("CAVIAR_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where messages go to."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def commands(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that reach the application in process."""
    monkeypatch.setattr(webhook, "Client", lambda _url, _token: client)


def run(*words: str) -> Result:
    """Run `caviar webhook` in this process."""
    return CliRunner().invoke(app, ["webhook", *words], env={"COLUMNS": "250"})


def said(*words: str) -> str:
    """What a command prints that succeeds."""
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("commands")
def test_a_webhook_from_its_making_to_its_end(receiver: Receiver) -> None:
    assert "create one with" in said("list")
    made = said("create", receiver.url, "--study", "digits-*")
    secret = made.strip().rsplit("\n", 1)[-1]
    assert secret.startswith("whsec_")
    assert SECRET not in said("create", receiver.url, "--secret", SECRET, "--event", "stagnation", "--name", "mine")
    shown = json.loads(said("show", "1"))
    assert (shown["studies"], shown["name"]) == (["digits-*"], f"127.0.0.1:{receiver.port}")
    assert len(shown["events"]) == 4
    assert "stagnation" in said("list")
    assert "no deliveries" in said("deliveries", "1")
    assert "is delivered, answered 204" in said("ping", "1")
    [received] = receiver.received
    message_id = verify_webhook(received.headers, received.body, secret)
    assert message_id.startswith("msg_")
    assert "delivered" in said("deliveries", "1", "--state", "delivered")
    assert json.loads(said("deliveries", "1", "--payload"))["type"] == "ping"
    assert "is waiting" in said("redeliver", "1", "1")
    assert "webhook 2 is deleted" in said("delete", "2")
    assert "mine" not in said("list")


@pytest.mark.usefixtures("commands")
def test_a_ping_that_is_not_taken_fails(receiver: Receiver) -> None:
    said("create", receiver.url)
    receiver.behaviours.append(answering(503))
    result = run("ping", "1")
    assert result.exit_code == 1
    assert "answered 503" in result.output
    assert "503" in said("deliveries", "1")


@pytest.mark.usefixtures("commands")
def test_an_edit_changes_what_is_given_and_nothing_else(receiver: Receiver) -> None:
    said("create", receiver.url, "--study", "digits-*", "--name", "mine")
    before = json.loads(said("show", "1"))
    assert "webhook 1 is changed" in said("edit", "1", "--off")
    assert "webhook 1 is changed" in said("edit", "1", "--name", "ours", "--event", "study_done")
    shown = json.loads(said("show", "1"))
    changed = {"name": "ours", "events": ["study_done"], "is_active": False, "updated_at": shown["updated_at"]}
    assert shown == before | changed
    said("edit", "1", "--study", "*", "--on", "--to", f"{receiver.url}/elsewhere")
    shown = json.loads(said("show", "1"))
    assert (shown["studies"], shown["is_active"], shown["url"]) == (None, True, f"{receiver.url}/elsewhere")
    assert run("edit", "1").exit_code == 1


@pytest.mark.usefixtures("commands")
def test_messages_after_a_rotation_are_signed_by_both_secrets(receiver: Receiver) -> None:
    former = said("create", receiver.url).strip().rsplit("\n", 1)[-1]
    made = said("rotate", "1").strip().rsplit("\n", 1)[-1]
    said("ping", "1")
    for secret in (former, made):
        verify_webhook(receiver.received[-1].headers, receiver.received[-1].body, secret)
    assert SECRET not in said("rotate", "1", "--secret", SECRET, "--keep-s", "0")
    said("ping", "1")
    verify_webhook(receiver.received[-1].headers, receiver.received[-1].body, SECRET)
    with pytest.raises(SignatureRefused):
        verify_webhook(receiver.received[-1].headers, receiver.received[-1].body, made)


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    "words",
    [
        ("create", "http://10.0.0.1"),
        ("show", "7"),
        ("create", "https://1.1.1.1", "--event", "x"),
        ("edit", "7", "--on"),
        ("rotate", "7"),
    ],
)
def test_what_cannot_be_fails_with_a_reason(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert "received" in result.output


def test_the_client_edits_rotates_and_pages(client: Client, receiver: Receiver) -> None:
    new = NewWebhook.model_validate({"name": "a", "url": receiver.url, "events": ["study_done"], "secret": SECRET})
    made = client.webhooks.create(new)
    assert made.secret is None
    webhook_id = made.webhook.webhook_id
    assert client.webhooks.edit(webhook_id, WebhookEdit(is_active=False)).is_active is False
    assert client.webhooks.edit(webhook_id, {"is_active": True, "studies": None}).studies is None
    rotated = client.webhooks.rotate(webhook_id, keep_s=5)
    assert rotated.secret is not None
    assert rotated.webhook.old_secret_until is not None
    assert client.webhooks.rotate(webhook_id, SECRET).secret is None
    for _ in range(101):
        client.webhooks.ping(webhook_id)
    found = list(client.webhooks.deliveries(webhook_id))
    assert len(found) == 101
    assert found[0].delivery_id > found[-1].delivery_id
    client.webhooks.delete(webhook_id)
    with pytest.raises(NotFound):
        client.webhooks.read(webhook_id)


def test_what_is_wrong_is_found_before_anything_is_sent(client: Client) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.webhooks.create({"name": "a", "url": "https://1.1.1.1/", "events": ["ping"]})
    assert [error.field for error in refused.value.errors] == ["events.0"]
