"""Signatures of webhooks: the scheme that Standard Webhooks gives.

Source: Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

SECRET_PREFIX = "whsec_"
MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 64

_VERSION = "v1"


class SignatureRefused(Exception):
    """A message does not come from whom it says, or not from now: do not act on it."""


def secret_key(secret: str) -> bytes:
    """The key that a secret holds.

    Args:
        secret: `whsec_` and the base64 form of 24 to 64 bytes.
    Raises:
        ValueError: It is none; the message does not repeat it.
    """
    expected = f"{SECRET_PREFIX} and the base64 form of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"expected {expected}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX).encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError(f"expected {expected}") from None
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(f"received {len(key)} bytes, expected {expected}")
    return key


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message by one secret, as it stands in the header.

    Args:
        secret: See `secret_key`.
        message_id: The header `webhook-id`.
        timestamp: The header `webhook-timestamp`, seconds since 1970.
        body: Exactly as it is sent.
    """
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digest = hmac.new(secret_key(secret), signed, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def signed_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message, with one signature for each secret that is in force."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes | str,
    secret: str,
    *,
    tolerance_s: float = 300.0,
    now: datetime | None = None,
) -> str:
    """Make sure that a message was sent by the service that shares a secret, and lately.

    Args:
        headers: Of the request, by names in any case.
        body: Of the request, before anything has parsed it.
        secret: Of the webhook, `whsec_…`.
        tolerance_s: Seconds that the clocks may differ and the message may have taken.
        now: The time; None for the system's.
    Returns:
        The message's id. A message may come more than once, always with the same id: keep the ids of a day or two, and
        pass over what has one of them.
    Raises:
        SignatureRefused: A header is missing or unreadable, the message is too old or too new, or no signature fits.
        ValueError: The secret is none.
    """
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, sent, signatures = (named[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise SignatureRefused(f"the header {error.args[0]} is missing; expected a message of a webhook") from None
    if not (sent.isascii() and sent.isdigit()):
        raise SignatureRefused(f"received the webhook-timestamp {sent[:40]!r}, expected seconds since 1970")
    timestamp = int(sent[:20])
    off_s = abs((now or datetime.now(UTC)).timestamp() - timestamp)
    if off_s > tolerance_s:
        raise SignatureRefused(f"the message is {off_s:.0f} s away from now, expected at most {tolerance_s:g} s")
    content = body.encode() if isinstance(body, str) else body
    fitting = sign(secret, message_id, timestamp, content).encode()
    if not any(hmac.compare_digest(fitting, given.encode(errors="replace")) for given in signatures.split(" ")):
        raise SignatureRefused("no signature fits; check the secret, and that the body is the very bytes that came")
    return message_id
