"""Streams end once their reader may read no more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.api import guarding


def _told(*, is_stream: bool, may: list[bool], monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], bool]:
    monkeypatch.setattr(guarding, "CHECK_S", 0.0)
    sent: list[Any] = []
    was_cancelled = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal was_cancelled
        kind = b"text/event-stream; charset=utf-8" if is_stream else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        try:
            if is_stream:  # It has no end of its own.
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled = True
            raise
        await send({"type": "http.response.body", "body": b"whole", "more_body": False})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def may_go_on() -> bool:
        return may.pop(0)

    async def run() -> None:
        await asyncio.wait_for(guarding.watched(app, {"type": "http"}, receive, send, may_go_on), 20)

    asyncio.run(run())
    return sent, was_cancelled


def test_a_stream_ends_when_its_token_does(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, was_cancelled = _told(is_stream=True, may=[True, True, False], monkeypatch=monkeypatch)
    assert was_cancelled
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


def test_other_answers_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, was_cancelled = _told(is_stream=False, may=[], monkeypatch=monkeypatch)
    assert not was_cancelled
    assert sent[-1]["body"] == b"whole"


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b"csrf=" + b"a" * 64, "a" * 64),
        (b"x=1&csrf=" + b"b" * 64 + b"&y=2", "b" * 64),
        (b"xcsrf=" + b"a" * 64, None),
        (b"csrf=short", None),
        (b"", None),
    ],
)
def test_the_token_of_a_form_is_found_and_the_form_read_again(body: bytes, token: str | None) -> None:
    half = len(body) // 2
    messages = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]

    async def run() -> tuple[str | None, bytes]:
        left = iter(messages)

        async def receive() -> Any:
            return next(left)

        found, again = await guarding.sent_by_form(receive)
        return found, b"".join([(await again())["body"], (await again())["body"]])

    assert asyncio.run(run()) == (token, body)
