"""Giving the claims of a study what they do next, so that no two of them are given the same.

What one claim is given has to be stored before the next one is asked for, which is to know of it. Only what need not
know of each other is given to several claims at once: they are then stored by the same commit.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

Given = TypeVar("Given")

# Each takes its time in the transaction, for which the reports of all workers wait.
_MAX_TOGETHER = 4


@dataclass(slots=True, eq=False)
class _Place(Generic[Given]):
    """A claim in the line.

    Attributes:
        may_create: Whether it may be given a new trial.
        given: What it is given.
        stored: Done once it has stored that, or leaves without.
    """

    may_create: bool
    given: asyncio.Future[Given]
    stored: asyncio.Future[None]


class Dispenser(Generic[Given]):
    """A line of claims, served in the order in which they came.

    Attributes:
        lock: Held from the making of what is given until it is stored.
    """

    def __init__(self, make: Callable[[bool, int], Sequence[Given]]) -> None:
        """Nobody stands in line yet.

        Args:
            make: Called on a thread of its own with whether new trials may be created and for how many claims; makes
                something for the first of them at least, to be stored in this order.
        """
        self.lock = asyncio.Lock()
        self._make = make
        self._line: deque[_Place[Given]] = deque()
        self._serving: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def next(self, *, may_create: bool) -> AsyncIterator[Given]:
        """Wait for one's turn; what is given is to be stored within the block.

        Args:
            may_create: Whether the budget allows new trials.
        Raises:
            Exception: Whatever the making of it met.
        """
        loop = asyncio.get_running_loop()
        place = _Place[Given](may_create, loop.create_future(), loop.create_future())
        self._line.append(place)
        if self._serving is None or self._serving.done():
            # It serves others than the one whose request began it, and logs nothing in its name.
            self._serving = loop.create_task(self._serve(), context=contextvars.Context())
        try:
            yield await place.given
        finally:
            place.stored.set_result(None)

    async def _serve(self) -> None:
        while self._line:
            async with self.lock:
                served = await self._give(self._first())
                if served:
                    await asyncio.wait([place.stored for place in served])

    def _first(self) -> list[_Place[Given]]:
        places: list[_Place[Given]] = []
        while self._line and len(places) < _MAX_TOGETHER:
            # Whoever may not create asks for something else than the others.
            if places and self._line[0].may_create != places[0].may_create:
                break
            place = self._line.popleft()
            if not place.given.done():  # Otherwise it was cancelled.
                places.append(place)
        return places

    async def _give(self, places: Sequence[_Place[Given]]) -> Sequence[_Place[Given]]:
        if not places:
            return []
        try:
            made = await asyncio.to_thread(self._make, places[0].may_create, len(places))
        except Exception as error:  # noqa: BLE001  # Whatever it is, those who wait must hear of it.
            for place in places:
                if not place.given.done():
                    place.given.set_exception(error)
            return places
        served, left = places[: len(made)], places[len(made) :]
        self._line.extendleft(reversed(left))
        # They go on in this order, and so their transactions do.
        for place, given in zip(served, made, strict=True):
            if not place.given.done():
                place.given.set_result(given)
        return served
