"""The time by the clock of the database server, which all processes of a service share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from service.store.engine import TOLD, Engine


class ServerClock:
    """Tells the time as the Postgres server told it at the last transaction that wrote, and what has passed since then.

    So the times of commits follow their order, whichever machines they come from, and nobody's clock but the server's
    decides whether a lease has run out. Until the first such transaction it is this machine's time.
    """

    def __init__(self, engine: Engine, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Follow what an engine's transactions are told.

        Args:
            engine: Of a Postgres database.
            monotonic: Seconds by a clock that is never moved.
        """
        self._monotonic = monotonic
        self._told: tuple[datetime, float] = (datetime.now(UTC), monotonic())
        engine.get_execution_options()[TOLD].append(self._follow)

    def __call__(self) -> datetime:
        """The time."""
        told_at, then_s = self._told
        return told_at + timedelta(seconds=self._monotonic() - then_s)

    def _follow(self, told_at: datetime) -> None:
        self._told = (told_at, self._monotonic())
