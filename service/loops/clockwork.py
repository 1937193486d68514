"""The background loop that does what time demands."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from service.use_cases import expiring
from service.use_cases.service import Service

_log = structlog.get_logger(__name__)
_LONGEST_PAUSE_S = 1.0


class Clockwork:
    """Takes back expired leases and enforces time limits.

    Workers can renew only while the service answers. So whenever it could not (it was down, suspended, or its database
    was away), every lease gets a full term before any is taken back: a silence of ours is no death of theirs.
    """

    def __init__(self, service: Service) -> None:
        """Wind it up; the first tick comes after a silence of unknown length."""
        self._service = service
        self._ticked_at: datetime | None = None

    async def run(self) -> None:
        """Tick until cancelled. A lapse is noticed within a second, or a fifth of the lease time if that is shorter."""
        pause_s = min(_LONGEST_PAUSE_S, self._service.lease_ttl_s / 5)
        while True:
            try:
                await self.tick()
            except Exception:  # noqa: BLE001  # The loop must outlive every failure; the next tick tries again.
                _log.exception("clockwork.failed")
            await asyncio.sleep(pause_s)

    async def tick(self) -> None:
        """One round of the loop."""
        service = self._service
        now = service.clock()
        longest = timedelta(seconds=service.lease_ttl_s / 2)
        if self._ticked_at is None or now - self._ticked_at > longest:
            _log.info("clockwork.grace", silent_since=None if self._ticked_at is None else self._ticked_at.isoformat())
            await service.submit(lambda tx: expiring.grant_grace(tx, service.lease_ttl_s))
        else:
            # In portions, so that reports are not held up behind the loss of a whole cluster.
            while await service.submit(expiring.expire_leases):
                pass
        await service.submit(expiring.enforce_time_limits)
        self._ticked_at = now
