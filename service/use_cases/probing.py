"""Asking what may hang, such as a database behind a broken network, without hanging with it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Probe(Generic[T]):
    """Asks on a thread of its own, one question at a time; answers are shared for a while.

    So nobody can make it ask more often by asking more often, and a question without an answer costs one thread in all.
    """

    def __init__(self, ask: Callable[[], T], *, kept_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask nothing yet.

        Args:
            ask: The question; it may take as long as it likes.
            kept_s: Seconds that an answer, or an error, is good for.
            clock: Tells seconds.
        """
        self._ask, self._kept_s, self._clock = ask, kept_s, clock
        self._asked_at = 0.0
        self._future: Future[T] | None = None

    @property
    def age_s(self) -> float | None:
        """Seconds since the question was asked; None before the first."""
        return None if self._future is None else self._clock() - self._asked_at

    async def answer(self, patience_s: float) -> T:
        """The answer, which may be a little old; raises what the question raises.

        Args:
            patience_s: Seconds to wait for it.
        Raises:
            TimeoutError: There is none by then; the question stays open.
        """
        future = self._future
        if future is None or (future.done() and self._clock() - self._asked_at >= self._kept_s):
            future = self._future = Future()
            self._asked_at = self._clock()
            threading.Thread(target=self._run, args=(future,), name="caviar-probe", daemon=True).start()
        async with asyncio.timeout(patience_s):
            return await asyncio.shield(asyncio.wrap_future(future))

    def _run(self, future: Future[T]) -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(self._ask())
        except Exception as error:  # noqa: BLE001  # Whoever asked hears of it.
            future.set_exception(error)
