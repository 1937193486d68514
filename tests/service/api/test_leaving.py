"""What a request hears that the end of the process cuts short."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.api.leaving import Leaving

_SCOPE: dict[str, Any] = {"type": "http", "method": "POST", "path": "/api/v1/measurements", "headers": []}


async def _silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.Event().wait()


async def _half_said(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


async def _cut(app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    task = asyncio.ensure_future(Leaving(app)(scope, receive, send))
    await asyncio.sleep(0)
    task.cancel()
    await task
    return sent


def test_it_is_told_to_come_again() -> None:
    start, body = asyncio.run(_cut(_silent, dict(_SCOPE)))
    assert start["status"] == 503
    assert json.loads(body["body"])["code"] == "unavailable"
    assert b"retry-after" in dict(start["headers"])


def test_an_answer_that_has_begun_is_broken_off() -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_cut(_half_said, dict(_SCOPE)))


def test_the_life_of_the_application_ends_as_ever() -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_cut(_silent, {"type": "lifespan"}))
