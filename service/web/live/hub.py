"""All views of a process that somebody looks at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable

from service.use_cases.service import Service
from service.web.live.broadcaster import Broadcaster, Seen, View
from service.web.live.messages import Message
from service.web.live.pace import Pace
from service.web.live.signal import Signal

SHARE = 0.1
"""Share of one processor that all renderings together may take."""


class Hub:
    """Hands connections to the broadcaster of their view; both go when nobody listens any more.

    Attributes:
        pace: How much rendering there was.
    """

    def __init__(self, service: Service) -> None:
        """No views yet."""
        self.pace = Pace(SHARE)
        self._service = service
        self._views: dict[Hashable, Broadcaster] = {}
        self._signals: dict[tuple[int, int | None], Signal] = {}

    @property
    def num_listeners(self) -> int:
        """Connections that are open."""
        views = sum(one.num_listeners for one in self._views.values())
        return views + sum(one.num_listeners for one in self._signals.values())

    async def follow(self, view: View, seen: Seen) -> AsyncIterator[list[Message]]:
        """Messages of a view.

        Args:
            view: What the page shows.
            seen: Which state of it.
        """
        key = view.key
        one = self._views.get(key)
        if one is None:
            one = self._views[key] = Broadcaster(view, self._service.feed, self.pace)
        messages = one.follow(seen)
        try:
            async for found in messages:
                yield found
        finally:
            await messages.aclose()  # type: ignore[attr-defined]  # It is a generator.
            if one.num_listeners == 0 and self._views.get(key) is one:
                del self._views[key]

    async def signals(
        self, study_id: int, trial_id: int | None, seen: Seen, last_seq: int
    ) -> AsyncIterator[list[Message]]:
        """Coarse signals about a study or one of its trials.

        Args:
            study_id: The study.
            trial_id: The trial; None for all.
            seen: What the page shows.
            last_seq: The study's last event.
        """
        key = (study_id, trial_id)
        one = self._signals.get(key)
        if one is None:
            one = self._signals[key] = Signal(self._service.feed, study_id, trial_id)
        messages = one.follow(seen, last_seq)
        try:
            async for found in messages:
                yield found
        finally:
            await messages.aclose()  # type: ignore[attr-defined]  # It is a generator.
            if one.num_listeners == 0 and self._signals.get(key) is one:
                del self._signals[key]
