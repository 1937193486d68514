"""The background loop that does what time demands."""

from __future__ import annotations

import asyncio

import structlog

from service.use_cases import expiring
from service.use_cases.service import Service

_log = structlog.get_logger(__name__)
_LONGEST_PAUSE_S = 1.0


async def run(service: Service) -> None:
    """Take back expired leases and enforce time limits, until cancelled.

    A lapse of time is noticed within a second, or a fifth of the lease time if that is shorter.
    """
    pause_s = min(_LONGEST_PAUSE_S, service.lease_ttl_s / 5)
    while True:
        try:
            await tick(service)
        except Exception:  # noqa: BLE001  # The loop must outlive every failure of a tick; the next one tries again.
            _log.exception("clockwork.failed")
        await asyncio.sleep(pause_s)


async def tick(service: Service) -> None:
    """One round of the loop."""
    # In portions, so that reports are not held up behind the loss of a whole cluster.
    while await service.submit(expiring.expire_leases):
        pass
    await service.submit(expiring.enforce_time_limits)
