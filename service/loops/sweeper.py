"""The background loop that removes files that nobody needs."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from service.domain.principal import SYSTEM
from service.use_cases import sweeping
from service.use_cases.keeping import Keeper

_log = structlog.get_logger(__name__)
_PAUSE_S = 30.0
# What crashes leave behind is rare, and to find it costs a listing of the whole store.
_ORPHANS_EVERY = timedelta(days=1)


class Sweeper:
    """Removes the files of given-up artifacts, and at the start and once a day those that no row tells of."""

    def __init__(self, keeper: Keeper) -> None:
        """Sweep the store of a keeper."""
        self._keeper = keeper.acting_for(SYSTEM)
        self._orphans_at: datetime | None = None

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except Exception:  # noqa: BLE001  # The loop must outlive every failure; the next round tries again.
                _log.exception("sweeper.failed")
            await asyncio.sleep(_PAUSE_S)

    async def sweep(self) -> None:
        """One round of the loop."""
        num_removed = await sweeping.remove_doomed(self._keeper)
        if num_removed:
            _log.info("sweeper.removed", num_files=num_removed)
        now = self._keeper.service.clock()
        if self._orphans_at is None or now - self._orphans_at >= _ORPHANS_EVERY:
            num_orphans = await sweeping.remove_orphans(self._keeper)
            self._orphans_at = now
            if num_orphans:
                _log.warning("sweeper.orphans_removed", num_files=num_orphans)
