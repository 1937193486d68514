"""One view of a study, rendered once after it changed, and told to all pages that show it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from dataclasses import dataclass, field

import structlog

from caviar.contract.errors import CaviarError, NotFound
from service.use_cases.feed import Feed
from service.web import acting
from service.web.live.bell import Bell
from service.web.live.curves import News, news
from service.web.live.messages import Message, event
from service.web.live.pace import Pace
from service.web.live.parts import Block, split

MIN_PAUSE_S = 0.4
"""Seconds between two renderings of a view at least."""
QUIET_S = 15.0
"""Seconds after which facts are looked at that change without an event, and quiet connections are told so."""
_RETRY_S = 3.0
_KEPT_VERSIONS = 8
_BEAT = event("beat", {})
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """A rendering of a view.

    Attributes:
        seq: The study's last event that it holds.
        blocks: Rendered blocks by the id of their section.
        frame: The axes of the curves, where pages are to replace theirs.
        standing: What changes without an event and is worth a new rendering, such as the number of workers.
    """

    seq: int
    blocks: Mapping[str, str]
    frame: str | None = None
    standing: object = None


@dataclass(frozen=True, slots=True)
class View:
    """What pages show.

    Attributes:
        key: Equal for equal views.
        study_id: The study.
        render: Renders it; called in a thread.
        standing: Tells cheaply what changes without an event; called in a thread.
        has_curves: Whether the pages draw curves.
    """

    key: Hashable
    study_id: int
    render: Callable[[], Shown]
    standing: Callable[[], object]
    has_curves: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page shows as it connects.

    Attributes:
        seq: The study's last event that it holds.
        broadcaster: Name of the broadcaster that it listened to before; empty for a page that was just loaded.
        number: Version that it heard of last.
    """

    seq: int
    broadcaster: str = ""
    number: int = -1


@dataclass(slots=True)
class _Version:
    number: int
    seq: int
    told_seq: int
    blocks: dict[str, Block]
    change: Message
    whole: Message | None = field(default=None)


class Broadcaster:
    """Renders a view at most every `MIN_PAUSE_S`, only while somebody listens, only after a change.

    A listener holds nothing but a number: whoever is slow finds fewer and larger steps, or the newest state at once.

    Attributes:
        name: Tells its versions from those of others.
        num_listeners: Connections that follow it.
    """

    def __init__(self, view: View, feed: Feed, pace: Pace) -> None:
        """Prepare to render; the first listener starts it.

        Args:
            view: What is rendered.
            feed: Tells what happens.
            pace: Shared by all views.
        """
        self.name = secrets.token_hex(4)
        self.num_listeners = 0
        self._view, self._feed, self._pace = view, feed, pace
        self._versions: deque[_Version] = deque(maxlen=_KEPT_VERSIONS)
        self._bell = Bell()
        self._frame: str | None = None
        self._standing: object = None
        self._end: Message | None = None
        self._task: asyncio.Task[None] | None = None

    async def follow(self, seen: Seen) -> AsyncIterator[list[Message]]:
        """What a page must hear from what it has seen on, until the study is gone or the service ends."""
        self.num_listeners += 1
        self._task = self._task or asyncio.create_task(self._run())
        try:
            while not self._versions and not self._is_over:
                await self._bell.rung(QUIET_S)
            number, told_seq, found = self._greet(seen)
            while found or not self._is_over:
                if found:
                    yield found
                number, told_seq, found = self._after(number, told_seq)
                if not found and not self._is_over and not await self._bell.rung(QUIET_S):
                    found = [_BEAT]
            if self._end is not None:
                yield [self._end]
        finally:
            self.num_listeners -= 1
            if self.num_listeners == 0:
                self._task.cancel()

    @property
    def _is_over(self) -> bool:
        return self._task is None or self._task.done() or self._feed.is_closed

    def _greet(self, seen: Seen) -> tuple[int, int, list[Message]]:
        if not self._versions:
            return -1, seen.seq, []
        newest = self._versions[-1]
        known = next((one for one in reversed(self._versions) if self._is_shown(one, seen)), None)
        # Before it has heard everything, a page must not name a version as known.
        hello = event("hello", {}, self._id(known) if known else None)
        missed = [hello, *self._curves(seen.seq, newest)]
        if known is not None:
            return known.number, newest.told_seq, missed
        return newest.number, newest.told_seq, [*missed, self._whole(newest)]

    def _is_shown(self, version: _Version, seen: Seen) -> bool:
        if seen.broadcaster:
            return seen.broadcaster == self.name and seen.number == version.number
        return seen.seq == version.seq

    def _after(self, number: int, told_seq: int) -> tuple[int, int, list[Message]]:
        newest = self._versions[-1] if self._versions else None
        if newest is None or newest.number <= number:
            return number, told_seq, []
        steps = [one for one in self._versions if one.number > number]
        if steps[0].number == number + 1:
            return newest.number, newest.told_seq, [one.change for one in steps]
        return newest.number, newest.told_seq, [*self._curves(told_seq, newest), self._whole(newest)]

    def _curves(self, after: int, newest: _Version) -> list[Message]:
        told = self._news(after, newest.told_seq)
        return [event("news", {"curves": told})] if told else []

    def _news(self, after: int, until: int) -> News:
        if not self._view.has_curves or after >= until:
            return {}
        events = self._feed.since(self._view.study_id, after)
        return news(None if events is None else [one for one in events if one.seq <= until])

    def _whole(self, version: _Version) -> Message:
        if version.whole is None:
            blocks = {key: block.whole() for key, block in version.blocks.items()}
            told = {"seq": version.seq, "blocks": blocks, "frame": self._frame}
            version.whole = event("news", told, self._id(version))
        return version.whole

    def _id(self, version: _Version) -> str:
        return f"{self.name}.{version.number}.{version.told_seq}"

    async def _run(self) -> None:
        acting.share()
        loop = asyncio.get_running_loop()
        # Those who wait find this task ended once it is; the bell must ring after that.
        asyncio.current_task().add_done_callback(self._ended)  # type: ignore[union-attr]  # There is one: this.
        while not self._feed.is_closed and self._end is None:
            begun, noted = loop.time(), self._feed.last_seq(self._view.study_id)
            pause_s = MIN_PAUSE_S if await self._tick() else _RETRY_S
            if self._end is None:
                await asyncio.sleep(max(0.0, begun + pause_s - loop.time()))
                await self._changed(noted)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("live.broken", exc_info=error)
        self._bell.ring()

    async def _tick(self) -> bool:
        # Points of curves need no rendering: they go on while the allowance for that is spent.
        while self._versions and (wait_s := self._pace.wait_s) > 0:
            self._tell_points(self._versions[-1])
            await asyncio.sleep(min(wait_s, MIN_PAUSE_S))
        try:
            shown, blocks = await self._pace.run(self._timed)
        except NotFound:
            self._end = event("end", {"reason": "deleted"})
        except CaviarError as error:  # The database is away for a while: pages keep what they show.
            _log.warning("live.failed", cause=str(error))
            return False
        else:
            self._add(shown, blocks)
            self._bell.ring()
        return True

    def _timed(self) -> tuple[tuple[Shown, dict[str, Block]], float]:
        begun = time.thread_time()
        shown = self._view.render()
        blocks = {key: split(html) for key, html in shown.blocks.items()}
        return (shown, blocks), time.thread_time() - begun

    def _add(self, shown: Shown, blocks: dict[str, Block]) -> None:
        old = self._versions[-1] if self._versions else None
        # A commit shows in the database a moment before it is in the feed: its curves are told the next time.
        told_seq = self._feed.last_seq(self._view.study_id) or shown.seq
        told: dict[str, object] = {}
        if old is not None:
            changes = {key: change for key in blocks if (change := blocks[key].since(old.blocks[key]))}
            told = {"blocks": changes} if changes else {}
            if curves := self._news(old.told_seq, told_seq):
                told["curves"] = curves
            if shown.frame is not None:
                told["frame"] = shown.frame
        self._standing, self._frame = shown.standing, shown.frame or self._frame
        if old is not None and not told:
            old.seq = shown.seq
            return
        number = old.number + 1 if old is not None else 0
        version = _Version(number, shown.seq, told_seq, blocks, _BEAT)
        version.change = event("news", {"seq": shown.seq, **told}, self._id(version))
        self._versions.append(version)

    def _tell_points(self, old: _Version) -> None:
        told_seq = self._feed.last_seq(self._view.study_id) or old.told_seq
        if curves := self._news(old.told_seq, told_seq):
            version = _Version(old.number + 1, old.seq, told_seq, old.blocks, _BEAT)
            version.change = event("news", {"seq": old.seq, "curves": curves}, self._id(version))
            self._versions.append(version)
            self._bell.ring()

    async def _changed(self, noted: int | None) -> None:
        """Wait until something has happened that the newest version does not hold."""
        feed, num_dropped = self._feed, self._feed.num_dropped
        while not feed.is_closed and feed.last_seq(self._view.study_id) == noted and feed.num_dropped == num_dropped:
            if not await self._feed.wait(QUIET_S) and await asyncio.to_thread(self._is_stale):
                return

    def _is_stale(self) -> bool:
        try:
            return self._view.standing() != self._standing
        except CaviarError:  # Deleted, or the database is away: the next rendering tells.
            return True
