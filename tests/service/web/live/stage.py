"""A study made of a few words, a feed, and pages that listen."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from caviar.contract.errors import NotFound
from service.store.transaction import Event
from service.use_cases.feed import Feed
from service.web.live.broadcaster import Broadcaster, Seen, Shown, View
from service.web.live.messages import Message
from service.web.live.pace import Pace

DEADLINE_S = 20.0
AT = datetime(2026, 11, 21, tzinfo=UTC)


def told(messages: list[Message]) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Kind, id and content of messages."""
    found = []
    for message in messages:
        fields = dict(line.split(": ", 1) for line in message.plain.decode().strip().split("\n"))
        found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


class Stage:
    """One study with one view.

    Attributes:
        feed: What happened.
        rows: Texts by key, which the view shows.
        seq: The last event.
        num_rendered: Renderings so far.
        standing: What changes without an event.
        failure: What a rendering fails with.
        gate: Renderings wait while it is not set.
        begun: Set by each rendering as it begins.
        pace: Allows renderings.
    """

    def __init__(self) -> None:
        """A study of one event; to be made on a running event loop."""
        self.feed = Feed()
        self.feed.bind(asyncio.get_running_loop())
        self.rows = {"a": "1"}
        self.seq = 1
        self.num_rendered = 0
        self.standing = 0
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        view = View("view", 1, self._render, lambda: self.standing)
        self.pace = Pace(1.0)
        self.broadcaster = Broadcaster(view, self.feed, self.pace)

    def _render(self) -> Shown:
        self.begun.set()
        self.gate.wait(DEADLINE_S)
        self.num_rendered += 1
        if self.failure is not None:
            raise self.failure
        parts = "".join(
            f"<!--part {key}--><p id='{key}'>{text}</p><!--/part {key}-->" for key, text in self.rows.items()
        )
        return Shown(self.seq, {"block": f"<div>{parts}</div>"}, standing=self.standing)

    def happen(self, kind: str = "measured", **rows: str) -> None:
        """Something is committed that changes rows."""
        self.seq += 1
        self.rows |= rows
        data = {"trial_id": 7, "number": 3, "epoch": self.seq, "value": 0.5}
        self.feed.publish([Event(1, self.seq, kind, AT, data)])

    def delete(self) -> None:
        """The study is deleted."""
        self.failure = NotFound("gone")
        self.feed.drop(1)

    def open(self, seq: int = 0, last: str | None = None) -> Page:
        """A page that shows the study up to an event, or that has heard a message before."""
        if last is None:
            return Page(self.broadcaster.follow(Seen(seq)))
        name, number, told_seq = last.split(".")
        return Page(self.broadcaster.follow(Seen(int(told_seq), name, int(number))))


class Page:
    """A page that reads when the test says so."""

    def __init__(self, stream: AsyncIterator[list[Message]]) -> None:
        """Connect with the first reading."""
        self._stream = stream
        self.last: str | None = None

    async def read(self) -> list[tuple[str, dict[str, Any]]]:
        """Kind and content of the next messages."""
        async with asyncio.timeout(DEADLINE_S):
            found = told(await anext(self._stream))
        self.last = next((message_id for _, message_id, _ in reversed(found) if message_id), self.last)
        return [(kind, data) for kind, _, data in found]

    async def news(self) -> dict[str, Any]:
        """The content of the next messages, which are all news, as one."""
        merged: dict[str, Any] = {}
        for kind, data in await self.read():
            assert kind == "news"
            merged |= data
        return merged

    async def close(self) -> None:
        """Hang up."""
        await self._stream.aclose()  # type: ignore[attr-defined]  # It is a generator.


def perform(story: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a story on a stage."""

    async def performed() -> None:
        async with asyncio.timeout(2 * DEADLINE_S):
            await story(Stage())

    asyncio.run(performed())
