"""The background loop that does what time demands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from service.domain.principal import SYSTEM
from service.store.transaction import Transaction
from service.use_cases import expiring
from service.use_cases.service import Service

_log = structlog.get_logger(__name__)
_LONGEST_PAUSE_S = 1.0


# Of the lease time: by how much the clock may be moved between two ticks without a word.
_UNNOTICED_JUMP = 0.1


@dataclass(frozen=True, slots=True)
class _Tick:
    """The last time that the loop went round.

    Attributes:
        at: By the service's clock, which may be moved.
        monotonic_s: By a clock that never is.
        num_outages: How often the database had refused to write by then.
    """

    at: datetime
    monotonic_s: float
    num_outages: int


class Clockwork:
    """Takes back expired leases and enforces time limits.

    Workers can renew only while the service answers. So whenever it could not (it was down, suspended, or its database
    was away or full), every lease gets a full term before any is taken back: a silence of ours is no death of theirs.
    The same holds when the clock was moved, forward or back: a second clock that cannot be moved tells by how much.
    """

    def __init__(self, service: Service, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Wind it up; the first tick comes after a silence of unknown length.

        Args:
            service: Whose leases it watches.
            monotonic: Seconds by a clock that is never moved.
        """
        self._service = service.acting_for(SYSTEM)
        self._monotonic = monotonic
        self._last: _Tick | None = None
        self._gone_round_at: float | None = None

    @property
    def age_s(self) -> float | None:
        """Seconds since it went round without a failure; None before the first time."""
        return None if self._gone_round_at is None else self._monotonic() - self._gone_round_at

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
        # In portions, so that reports are not held up behind the loss of a whole cluster.
        while await self._go_round():
            pass
        await self._service.submit(expiring.enforce_time_limits)
        self._gone_round_at = self._monotonic()

    async def _go_round(self) -> bool:
        last = self._last
        now, jump_s, has_more = await self._service.submit(self._look)
        # A grace that is stored is not given again, even if what follows fails.
        self._last = now
        if jump_s is not None:
            silent_since = None if last is None else last.at.isoformat()
            _log.info("clockwork.grace", silent_since=silent_since, clock_moved_by_s=round(jump_s, 3))
        return has_more

    def _look(self, tx: Transaction) -> tuple[_Tick, float | None, bool]:
        """Take back leases, or give a grace.

        Returns:
            When that was; by how much the clock was moved if a grace was given, else None; whether more may be to do.
        """
        # Within the transaction, whose time decides: the clock that all processes share is read anew with each.
        service, last = self._service, self._last
        now = _Tick(service.clock(), self._monotonic(), service.writer.num_outages)
        jump_s = 0.0 if last is None else self._jump_s(last, now)
        if last is None or jump_s or self._is_after_silence(last, now):
            expiring.grant_grace(tx, service.lease_ttl_s, jump_s)
            return now, jump_s, False
        return now, None, expiring.expire_leases(tx) > 0

    def _jump_s(self, last: _Tick, now: _Tick) -> float:
        moved_s = (now.at - last.at).total_seconds() - (now.monotonic_s - last.monotonic_s)
        return moved_s if abs(moved_s) > _UNNOTICED_JUMP * self._service.lease_ttl_s else 0.0

    def _is_after_silence(self, last: _Tick, now: _Tick) -> bool:
        is_late = now.monotonic_s - last.monotonic_s > self._service.lease_ttl_s / 2
        return is_late or now.num_outages > last.num_outages
