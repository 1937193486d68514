"""The background loop of each process that makes one of them do what only one may do."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from service.store.leadership import Leadership

_log = structlog.get_logger(__name__)


class Loop(Protocol):
    """Something that goes round as long as this process leads."""

    async def run(self) -> None:
        """Go round until cancelled."""


class Leading:
    """Runs loops while this process leads, and starts them anew whenever it comes to lead."""

    def __init__(
        self, leadership: Leadership, *, begin: Callable[[], Awaitable[Sequence[Loop]]], pause_s: float
    ) -> None:
        """Prepare; `step` or `run` begins.

        Args:
            leadership: Tells whether this process leads.
            begin: Does what must come first, and makes the loops.
            pause_s: Seconds between two questions whether it does.
        """
        self._leadership = leadership
        self._begin = begin
        self._pause_s = pause_s
        self._tasks: list[asyncio.Task[None]] | None = None
        self._stepped_at: float | None = None

    @property
    def is_leader(self) -> bool:
        """Whether this process leads."""
        return self._tasks is not None

    @property
    def age_s(self) -> float | None:
        """Seconds since it was last known whether this process leads; None if it never was."""
        return None if self._stepped_at is None else time.monotonic() - self._stepped_at

    async def run(self) -> None:
        """Step until cancelled."""
        while True:
            await asyncio.sleep(self._pause_s)
            try:
                await self.step()
            except Exception:  # noqa: BLE001  # The loop must outlive every failure; the next round tries again.
                _log.exception("leading.failed")

    async def step(self) -> bool:
        """See whether this process leads, and start or stop the loops accordingly.

        Returns:
            Whether it leads.
        """
        is_leader = await asyncio.to_thread(self._leadership.is_held)
        if is_leader and self._tasks is None:
            _log.info("leading.begun")
            self._tasks = [asyncio.create_task(loop.run()) for loop in await self._begin()]
        elif not is_leader and self._tasks is not None:
            _log.warning("leading.ended")
            await self._stop()
        self._stepped_at = time.monotonic()
        return is_leader

    async def close(self) -> None:
        """Stop the loops and let another process lead."""
        await self._stop()
        await asyncio.to_thread(self._leadership.give_up)

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks or [], None
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
