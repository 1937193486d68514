"""Messages are signed as Standard Webhooks says, and what is not signed so is refused."""

from __future__ import annotations

import base64
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.signatures import SignatureRefused, secret_key, sign, signed_headers, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
NOW = datetime(2021, 2, 25, tzinfo=UTC)
BODY = b'{"type":"ping"}'


def test_the_signature_is_the_one_of_the_standards_documents() -> None:
    # Source: the test vector of the reference libraries of Standard Webhooks.
    assert (
        sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@given(st.binary(max_size=200), st.integers(0, 2**33))
def test_what_is_signed_is_verified(body: bytes, timestamp: int) -> None:
    headers = signed_headers([OTHER, SECRET], "msg_1", timestamp, body)
    now = datetime.fromtimestamp(timestamp, UTC)
    for secret in (SECRET, OTHER):
        assert verify_webhook(headers, body, secret, now=now) == "msg_1"


def test_names_of_headers_come_in_any_case_and_bodies_as_texts() -> None:
    headers = signed_headers([SECRET], "msg_1", int(NOW.timestamp()), BODY)
    shouted = {name.upper(): value for name, value in headers.items()}
    assert verify_webhook(shouted, BODY.decode(), SECRET, now=NOW) == "msg_1"


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 301)},
        {"webhook-timestamp": str(int(NOW.timestamp()) - 301)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "\u0661\u0662"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-signature": "v2,g0hM9SsE"},
        {"webhook-signature": "v1,\u00fc\udcff"},
    ],
)
def test_what_was_changed_is_refused(changed: dict[str, str]) -> None:
    headers = signed_headers([SECRET], "msg_1", int(NOW.timestamp()), BODY) | changed
    with pytest.raises(SignatureRefused):
        verify_webhook(headers, BODY, SECRET, now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_named(name: str) -> None:
    headers = signed_headers([SECRET], "msg_1", int(NOW.timestamp()), BODY)
    del headers[name]
    with pytest.raises(SignatureRefused, match=name):
        verify_webhook(headers, BODY, SECRET, now=NOW)


def test_another_body_or_secret_is_refused() -> None:
    headers = signed_headers([SECRET], "msg_1", int(NOW.timestamp()), BODY)
    for body, secret in ((BODY + b" ", SECRET), (BODY, OTHER)):
        with pytest.raises(SignatureRefused, match="no signature fits"):
            verify_webhook(headers, body, secret, now=NOW)


def test_a_message_of_now_is_in_time() -> None:
    headers = signed_headers([SECRET], "msg_1", int(datetime.now(UTC).timestamp()), BODY)
    assert verify_webhook(headers, BODY, SECRET) == "msg_1"


@pytest.mark.parametrize(
    "secret", ["", "secret", "whsec_", "whsec_!!!", "whsec_AAAA", "whsec_" + "A" * 92, "whsec_\u00fc", "WHSEC_MfKQ9r8G"]
)
def test_what_is_no_secret_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="expected whsec_") as refused:
        secret_key(secret)
    assert len(secret) <= len("whsec_") or secret not in str(refused.value)


def test_the_lines_of_the_documents_check_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    monkeypatch.setattr(time, "time", NOW.timestamp)
    is_genuine = names["is_genuine"]
    headers = signed_headers([OTHER, SECRET], "msg_1", int(NOW.timestamp()), BODY)
    assert is_genuine(headers, BODY, SECRET)
    assert is_genuine(headers, BODY, OTHER)
    assert not is_genuine(headers, BODY + b" ", SECRET)
    assert not is_genuine(headers | {"webhook-id": "msg_2"}, BODY, SECRET)
    old = signed_headers([SECRET], "msg_1", int(NOW.timestamp()) - 301, BODY)
    assert not is_genuine(old, BODY, SECRET)
