"""The coarse signal for pages that fetch their parts themselves: something happened, and of which kinds."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator

from service.store.transaction import Event
from service.use_cases.feed import Feed
from service.web.live.bell import Bell
from service.web.live.broadcaster import QUIET_S, Seen
from service.web.live.messages import Message, event

STUDY_PAUSE_S = 2.0
"""Seconds between two signals about a study at least."""
TRIAL_PAUSE_S = 0.3
"""Seconds between two signals about one trial at least."""
_BEAT = event("beat", {})
_KEPT = 2


class Signal:
    """Tells pages of a study, or of one of its trials, that something happened, each signal made once for all.

    Attributes:
        name: Tells its signals from those of others.
        num_listeners: Connections that follow it.
    """

    def __init__(self, feed: Feed, study_id: int, trial_id: int | None) -> None:
        """Prepare to listen; the first listener starts it.

        Args:
            feed: Tells what happens.
            study_id: The study.
            trial_id: Tell only what concerns this trial, and the study as a whole.
        """
        self.name = secrets.token_hex(4)
        self.num_listeners = 0
        self._feed, self._study_id, self._trial_id = feed, study_id, trial_id
        self._pause_s = STUDY_PAUSE_S if trial_id is None else TRIAL_PAUSE_S
        self._told: deque[tuple[int, Message]] = deque(maxlen=_KEPT)
        self._num_told = 0
        self._bell = Bell()
        self._task: asyncio.Task[None] | None = None

    async def follow(self, seen: Seen, last_seq: int) -> AsyncIterator[list[Message]]:
        """Signals from now on, and one at once if something happened since the page was made.

        Args:
            seen: What the page shows.
            last_seq: The study's last event.
        """
        self.num_listeners += 1
        self._task = self._task or asyncio.create_task(self._run(last_seq))
        number = self._num_told
        found = [event("hello", {}, f"{self.name}.{number}.{last_seq}")]
        if seen.seq < last_seq:
            found.append(event("changed", {"seq": last_seq, "kinds": []}))
        try:
            while not (self._task.done() or self._feed.is_closed):
                yield found
                if number == self._num_told and not await self._bell.rung(QUIET_S):
                    found = [_BEAT]
                    continue
                # One signal is as good as several: the page fetches what it shows anyway.
                found = [message for at, message in self._told if at > number][-1:]
                number = self._num_told
        finally:
            self.num_listeners -= 1
            if self.num_listeners == 0:
                self._task.cancel()

    async def _run(self, last_seq: int) -> None:
        asyncio.current_task().add_done_callback(lambda _: self._bell.ring())  # type: ignore[union-attr]  # This one.
        seq, num_dropped = self._feed.last_seq(self._study_id) or last_seq, self._feed.num_dropped
        while not self._feed.is_closed:
            await self._feed.wait(QUIET_S)
            newest = self._feed.last_seq(self._study_id)
            if self._feed.num_dropped > num_dropped:
                # Perhaps it was another study: pages find out as they fetch.
                num_dropped = self._feed.num_dropped
                self._tell(seq, ["study_deleted"])
            if newest is None or newest <= seq:
                continue
            events = self._feed.since(self._study_id, seq)
            seq = newest
            kinds = sorted({one.kind for one in events or () if self._concerns(one)})
            if kinds or events is None:
                self._tell(seq, kinds)
                await asyncio.sleep(self._pause_s)

    def _concerns(self, one: Event) -> bool:
        told = one.data.get("trial_id")
        return self._trial_id is None or told is None or told == self._trial_id

    def _tell(self, seq: int, kinds: list[str]) -> None:
        self._num_told += 1
        message = event("changed", {"seq": seq, "kinds": kinds}, f"{self.name}.{self._num_told}.{seq}")
        self._told.append((self._num_told, message))
        self._bell.ring()
