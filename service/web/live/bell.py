"""Waking all who wait for one thing."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings for those who wait at that moment."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake everybody; to be called on the event loop's thread."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def rung(self, timeout_s: float) -> bool:
        """Return at the next ring; false after the timeout."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(future)
        return True
