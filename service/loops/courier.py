"""The background loop that sends the messages of webhooks."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta
from functools import partial

import structlog

from caviar.contract.signatures import signed_headers
from caviar.contract.webhooks import DeliveryState
from service.domain.principal import SYSTEM
from service.outbound.sender import Refused, Sender
from service.use_cases import delivering
from service.use_cases.delivering import Parcel, Reply
from service.use_cases.service import Service

_log = structlog.get_logger(__name__)
_PAUSE_S = 1.0
_MAX_PARALLEL = 32
_MAX_PER_WEBHOOK = 2
# Of the time that a message may take; whoever has not said by then how it went is taken for dead.
_LEASE_TIMES = 3.0
_TIDY_EVERY = timedelta(minutes=1)


class Courier:
    """Sends what is due, a few messages at a time and fewer to each receiver, so that none holds up the others.

    Each message is sent at least once: it is taken for a while only, and due again unless the answer was stored.
    """

    def __init__(
        self, service: Service, sender: Sender, *, keep_days: float, chance: random.Random | None = None
    ) -> None:
        """Send the messages of a service.

        Args:
            service: Whose messages.
            sender: Sends one.
            keep_days: Days that deliveries are kept for once they ended.
            chance: Spreads repeats in time.
        """
        self._service = service.acting_for(SYSTEM)
        self._sender = sender
        self._keep_days = keep_days
        self._chance = chance or random.Random()
        self._running: dict[asyncio.Task[None], int] = {}
        self._tidied_at: datetime | None = None

    async def run(self) -> None:
        """Send until cancelled; what is being sent then is sent again by whoever comes next."""
        try:
            while True:
                try:
                    await self.round()
                except Exception:  # noqa: BLE001  # The loop must outlive every failure; the next round tries again.
                    _log.exception("courier.failed")
                await self._pause()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def round(self) -> int:
        """One round of the loop: begin to send what is due.

        Returns:
            How many messages were taken.
        """
        await self._tidy()
        free = _MAX_PARALLEL - len(self._running)
        if free <= 0 or not await asyncio.to_thread(self._is_due):
            return 0
        busy = [webhook for webhook, num in Counter(self._running.values()).items() if num >= _MAX_PER_WEBHOOK]
        operation = partial(
            delivering.claim,
            limit=free,
            per_webhook=_MAX_PER_WEBHOOK,
            busy=busy,
            lease_s=_LEASE_TIMES * self._sender.timeout_s,
        )
        parcels = await self._service.submit(operation)
        for parcel in parcels:
            task = asyncio.create_task(self._deliver(parcel))
            self._running[task] = parcel.webhook_id
            task.add_done_callback(self._ended)
        return len(parcels)

    async def settled(self) -> None:
        """Wait until nothing is being sent."""
        while self._running:
            await asyncio.wait(self._running)

    async def _pause(self) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=_PAUSE_S, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(_PAUSE_S)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("courier.delivery_failed", exc_info=error)

    def _is_due(self) -> bool:
        with self._service.reading() as tx:
            return delivering.is_due(tx)

    async def _deliver(self, parcel: Parcel) -> None:
        body = parcel.body.encode()
        headers = signed_headers(parcel.secrets, parcel.message_id, int(self._service.clock().timestamp()), body)
        try:
            reply = Reply(status=await self._sender.post(parcel.url, headers, body))
        except Refused as refused:
            reply = Reply(status=refused.status, error=refused.reason)
        settle = partial(delivering.settle, parcel=parcel, reply=reply, chance=self._chance)
        state = await self._service.submit(settle)
        # Addresses of webhooks can be secrets themselves and are not logged.
        told = {"webhook_id": parcel.webhook_id, "message_id": parcel.message_id, "attempt": parcel.attempt}
        if state is DeliveryState.FAILED:
            _log.warning("webhook.given_up", **told, status=reply.status, error=reply.error)
        else:
            _log.info("webhook.sent", **told, state=state, status=reply.status, error=reply.error)

    async def _tidy(self) -> None:
        now = self._service.clock()
        if self._tidied_at is not None and timedelta() <= now - self._tidied_at < _TIDY_EVERY:
            return
        self._tidied_at = now
        await self._service.submit(self._service.announcer.watch)
        while await self._service.submit(partial(delivering.remove_old, keep_days=self._keep_days)):
            pass
