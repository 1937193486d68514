"""Telling those who wait that something was committed: open pages, and workers in a long poll."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from service.store.transaction import Event

_KEPT_EVENTS = 2000
# Events after which there may be a trial to hand out, unlike after the measurements that are most of the feed.
_OPENINGS = frozenset(
    {"study_created", "study_changed", "study_edited", "trial_created", "trial_paused", "trial_requeued", "trial_ended"}
)


class Feed:
    """The newest events of each study, and a bell that rings with every commit.

    Attributes:
        num_openings: Rises whenever there may be new work for a worker in a long poll.
        num_dropped: Studies that were deleted so far.
        is_closed: Whether nothing will be published any more.
    """

    def __init__(self) -> None:
        """An empty feed, not yet bound to an event loop."""
        self._recent: dict[int, deque[Event]] = defaultdict(lambda: deque(maxlen=_KEPT_EVENTS))
        self._waiting: set[asyncio.Future[None]] = set()
        self._idle: set[asyncio.Future[None]] = set()
        self.num_openings = 0
        self.num_dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False

    @property
    def num_polls(self) -> int:
        """Workers in a long poll."""
        return len(self._idle)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the event loop whose tasks wait here."""
        self._loop = loop

    def publish(self, events: Sequence[Event]) -> None:
        """Keep committed events and ring the bell; callable from any thread."""
        loop = self._loop
        if events and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._add, list(events))

    def since(self, study_id: int, seq: int) -> list[Event] | None:
        """Events numbered above `seq`; None if they are not all kept here and must be read from the database."""
        recent = self._recent.get(study_id)
        if not recent or recent[0].seq > seq + 1:
            return None
        # There are no gaps, and the ends of a deque are near: many readers each ask for its newest few.
        return [recent[-back] for back in range(recent[-1].seq - seq, 0, -1)]

    def last_seq(self, study_id: int) -> int | None:
        """Number of a study's newest event; None if none is kept here."""
        recent = self._recent.get(study_id)
        return recent[-1].seq if recent else None

    def drop(self, study_id: int) -> None:
        """Forget a deleted study and wake those who follow it; callable from any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._drop, study_id)

    async def wait(self, timeout_s: float) -> bool:
        """Return at the next commit that has events or on `close`; false after the timeout."""
        return await _rung(self._waiting, timeout_s)

    async def wait_for_work(self, num_seen: int, timeout_s: float) -> bool:
        """Return once `num_openings` is no longer `num_seen`, or on `close`; false after the timeout.

        Args:
            num_seen: What it was before the caller looked for work: what came since then is not missed.
            timeout_s: Seconds to wait at most.
        """
        return self.num_openings != num_seen or await _rung(self._idle, timeout_s)

    def open_soon(self) -> None:
        """Wake those who wait for work although nothing happened in a study; callable from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._open)

    def ring_soon(self) -> None:
        """Wake everybody, because something may have been missed; callable from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring)

    def close(self) -> None:
        """Wake everybody for the last time; to be called on the event loop's thread."""
        self.is_closed = True
        _ring(self._waiting | self._idle)

    def close_soon(self) -> None:
        """Close from any thread or signal handler."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.close)

    def _drop(self, study_id: int) -> None:
        self._recent.pop(study_id, None)
        self.num_dropped += 1
        _ring(self._waiting)

    def _add(self, events: Sequence[Event]) -> None:
        for event in events:
            recent = self._recent[event.study_id]
            # Commits of several processes can arrive with a gap; what is kept must be gapless to be served from here.
            if recent and event.seq != recent[-1].seq + 1:
                recent.clear()
            recent.append(event)
        _ring(self._waiting)
        if any(event.kind in _OPENINGS for event in events):
            self._open()

    def _ring(self) -> None:
        _ring(self._waiting)
        self._open()

    def _open(self) -> None:
        self.num_openings += 1
        _ring(self._idle)


async def _rung(waiting: set[asyncio.Future[None]], timeout_s: float) -> bool:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting.add(future)
    try:
        async with asyncio.timeout(timeout_s):
            await future
    except TimeoutError:
        return False
    finally:
        waiting.discard(future)
    return True


def _ring(waiting: Iterable[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
