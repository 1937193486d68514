"""Ending streams whose reader may read no more, and finding the token that a form carries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caviar.contract.errors import TooLarge

CHECK_S = 2.0
"""Seconds between two looks at whether the reader of a stream still may."""

_STREAM = b"text/event-stream"
_SENT = re.compile(rb"(?:^|&)csrf=([0-9a-f]{64})(?:&|$)")
_MAX_FORM_BYTES = 16 * 2**20


async def watched(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, may_go_on: Callable[[], Awaitable[bool]]
) -> None:
    """Run an application; if it answers with a stream of events, end it once its reader may read no more.

    Args:
        app: What answers.
        scope: Of the request.
        receive: Of the request.
        send: Of the request.
        may_go_on: Whether the reader still may.
    """
    own = asyncio.current_task()
    watching: asyncio.Task[None] | None = None
    is_ended = False

    async def watch() -> None:
        nonlocal is_ended
        while True:
            await asyncio.sleep(CHECK_S)
            if not await may_go_on():
                break
        is_ended = True
        if own is not None:
            own.cancel()

    async def told(message: Message) -> None:
        nonlocal watching
        if message["type"] == "http.response.start" and _is_stream(message):
            watching = asyncio.create_task(watch())
        await send(message)

    try:
        await app(scope, receive, told)
    except asyncio.CancelledError:
        if not is_ended or own is None:
            raise
        own.uncancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        if watching is not None:
            watching.cancel()


def _is_stream(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(_STREAM) for name, value in message["headers"])


async def sent_by_form(receive: Receive) -> tuple[str | None, Receive]:
    """The token that a form carries, in its field `csrf`.

    Returns:
        The token, None if there is none; and what gives the form once more.
    Raises:
        TooLarge: The form is larger than any of ours (413).
    """
    messages: list[Message] = []
    body = bytearray()
    while True:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if len(body) > _MAX_FORM_BYTES:
            raise TooLarge(f"received a form of more than {_MAX_FORM_BYTES:,} bytes")
        if not message.get("more_body", False):
            break
    found = _SENT.search(body)
    left = iter(messages)

    async def again() -> Message:
        return next(left, None) or await receive()

    return None if found is None else found[1].decode(), again
