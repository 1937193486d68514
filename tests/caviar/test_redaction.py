"""Secrets are struck out of log lines, and nothing else is."""

from __future__ import annotations

import pytest

from caviar.redaction import clean, redact

_SECRET = "s3cr3t-Value_of.somebody~x"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {_SECRET}",
        f"sent bearer {_SECRET} to it",
        f"GET /login?token={_SECRET} HTTP/1.1",
        f"GET /oidc?code={_SECRET}&state={_SECRET}",
        f"Cookie: caviar_session={_SECRET}; other=1",
        f"postgresql+psycopg://caviar:{_SECRET}@db/caviar",
        f"{{'token': '{_SECRET}', 'n': 1}}",
        f'{{"password": "{_SECRET}"}}',
    ],
)
def test_a_secret_is_struck_out_of_a_text(text: str) -> None:
    assert _SECRET in text
    assert _SECRET not in clean(text)
    assert _SECRET not in str(redact(None, "info", {"event": "x", "detail": text, "more": [{"deep": text}]}))


@pytest.mark.parametrize("key", ["token", "metrics_token", "Authorization", "password", "lease", "secret_digest"])
def test_what_is_named_a_secret_is_one(key: str) -> None:
    assert redact(None, "info", {"event": "x", key: _SECRET}) == {"event": "x", key: "[redacted]"}


@pytest.mark.parametrize(
    "text",
    [
        "trial 7 of digits: loss=0.5, epoch=3",
        "http://127.0.0.1:8700/studies/digits?after=50",
        "the access token is not valid (any more)",
        "sqlite:////var/lib/caviar/caviar.db",
        "state: waiting, {'stop_reason': 'error'}",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert clean(text) == text


def test_numbers_and_nothing_stay() -> None:
    event = {"event": "x", "num": 3, "token": None, "items": [1, 2.5]}
    assert redact(None, "info", dict(event)) == event
