"""The network between workers and services, which does to requests and answers all that networks do."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from tests.chaos.diary import Diary
from tests.chaos.wire import Broken, Message, read_message

# What befalls requests, and how often in proportion to each other.
WEATHER: Mapping[str, int] = {
    "request_dropped": 2,
    "request_cut": 1,
    "answer_dropped": 3,
    "answer_truncated": 2,
    "request_half_closed": 1,
    "answer_half_closed": 1,
    "delayed": 3,
    "repeated": 3,
    "repeated_at_once": 2,
    "reordered": 3,
}
_HARMED = 0.17
BLACKHOLE = "blackholed"
_LONGEST_DELAY_S = 2.0
_LONGEST_HOLD_S = 3.0
_PASSED_FIRST = 5
_PATIENCE_S = 60.0
_FAILED = 500
_HEAD_BYTES = 64 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Upstream:
    """A service behind the proxy."""

    host: str
    port: int


class Proxy:
    """Passes each request on to one of the services, or does something worse to it.

    Attributes:
        counts: How often each thing happened.
        num_requests: Requests that came.
        is_calm: Whether everything is passed on unharmed.
    """

    def __init__(self, upstreams: Callable[[], list[Upstream]], seed: int, diary: Diary) -> None:
        """Prepare the proxy.

        Args:
            upstreams: The services that requests may go to now.
            seed: Of its chance.
            diary: Takes what was answered to requests that were sent twice.
        """
        self.counts: Counter[str] = Counter()
        self.num_requests = 0
        self.is_calm = True
        self.port = 0
        self._upstreams = upstreams
        self._chance = random.Random(seed)
        self._deck: list[str] = []
        self._diary = diary
        self._dark_until = 0.0
        self._server: asyncio.Server | None = None
        self._passed = asyncio.Condition()

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_BYTES)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    def blackhole(self, seconds: float) -> None:
        """Swallow everything for a while: connections stay open, and nothing comes of them."""
        self._dark_until = time.monotonic() + seconds
        self.counts[BLACKHOLE] += 1

    def storm(self) -> None:
        """From now on, do harm."""
        self.is_calm = False

    def calm(self) -> None:
        """From now on, harm nothing."""
        self.is_calm = True
        self._dark_until = 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_message(reader)) is not None:
                self.num_requests += 1
                if not await self._treat(request, writer):
                    break
        except (Broken, OSError, asyncio.CancelledError):
            pass  # At the end of a run, connections that wait are cut like all others.
        finally:
            writer.close()

    async def _treat(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        """Do to a request what chance wants; whether the connection goes on."""
        if await self._swallowed():
            return False
        kind = self._draw()
        if kind is not None:
            self.counts[kind] += 1
        if kind == "request_dropped":
            return False
        if kind == "delayed":
            await asyncio.sleep(self._chance.uniform(0.05, _LONGEST_DELAY_S))
        elif kind == "reordered":
            await self._hold_back()
        if kind == "request_cut":
            await self._cut(request)
            return False
        answer = await self._answer(request, kind)
        async with self._passed:
            self._passed.notify_all()
        if answer is None or kind == "answer_dropped" or await self._swallowed():
            return False
        return await self._return(answer, kind, writer)

    def _draw(self) -> str | None:
        if self.is_calm:
            return None
        if self._chance.random() > _HARMED:
            return None
        # From a shuffled deck, so that none of them is long in coming.
        if not self._deck:
            self._deck = [kind for kind, weight in WEATHER.items() for _ in range(weight)]
            self._chance.shuffle(self._deck)
        return self._deck.pop()

    async def _swallowed(self) -> bool:
        is_dark = False
        while (left_s := self._dark_until - time.monotonic()) > 0:
            is_dark = True
            await asyncio.sleep(left_s)
        return is_dark

    async def _hold_back(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_HOLD_S), self._passed:
                for _ in range(_PASSED_FIRST):
                    await self._passed.wait()

    async def _answer(self, request: Message, kind: str | None) -> Message | None:
        if kind == "repeated":
            first = await self._forward(request)
            again = await self._forward(request)
            self._note(request, first, again, is_in_order=True)
            return self._chance.choice((first, again))
        if kind == "repeated_at_once":
            first, again = await asyncio.gather(self._forward(request), self._forward(request))
            self._note(request, first, again, is_in_order=False)
            return self._chance.choice((first, again))
        return await self._forward(request, is_half_closed=kind == "request_half_closed")

    def _note(self, request: Message, first: Message | None, again: Message | None, *, is_in_order: bool) -> None:
        if first is None or again is None:
            return
        answers = [{"status": answer.status, "body": answer.json()} for answer in (first, again)]
        self._diary.write({"what": "repeated", **_about(request), "is_in_order": is_in_order, "answers": answers})

    async def _forward(self, request: Message, *, is_half_closed: bool = False) -> Message | None:
        connected = await self._connect()
        if connected is None:
            return None
        reader, writer = connected
        try:
            async with asyncio.timeout(_PATIENCE_S):
                writer.write(request.raw)
                await writer.drain()
                if is_half_closed:
                    writer.write_eof()
                answer = await read_message(reader)
                if answer is not None and answer.status == _FAILED:
                    self._diary.write({"what": "failed", **_about(request), "status": _FAILED, "body": answer.json()})
                return answer
        except (Broken, OSError, TimeoutError):
            return None
        finally:
            writer.close()

    async def _cut(self, request: Message) -> None:
        connected = await self._connect()
        if connected is None:
            return
        _reader, writer = connected
        with suppress(OSError):
            writer.write(request.raw[: self._chance.randrange(1, len(request.raw))])
            await writer.drain()
        writer.close()

    async def _connect(self) -> Streams | None:
        upstreams = self._upstreams()
        if not upstreams:
            return None
        upstream = self._chance.choice(upstreams)
        try:
            return await asyncio.open_connection(upstream.host, upstream.port, limit=_HEAD_BYTES)
        except OSError:
            return None

    async def _return(self, answer: Message, kind: str | None, writer: asyncio.StreamWriter) -> bool:
        raw = answer.raw
        if kind == "answer_truncated":
            raw = raw[: self._chance.randrange(1, len(raw))]
        writer.write(raw)
        await writer.drain()
        if kind == "answer_half_closed":
            # Nothing more comes, but what the peer still sends is read and lost.
            writer.write_eof()
            await asyncio.sleep(0.2)
        return kind not in ("answer_truncated", "answer_half_closed") and _is_kept_alive(answer)


def _about(request: Message) -> dict[str, str]:
    return {"verb": request.first.split()[0], "path": request.path}


def _is_kept_alive(answer: Message) -> bool:
    return answer.headers.get("connection", "").lower() != "close"
