"""The background loop that clears away what is older than its operator wants to keep it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import structlog

from service.domain.principal import SYSTEM
from service.use_cases import clearing
from service.use_cases.clearing import Kept
from service.use_cases.service import Service

_log = structlog.get_logger(__name__)
_PAUSE_S = 600.0
# Between two portions, in which reports of workers are stored.
_REST_S = 0.2


class Janitor:
    """Removes old rows, a portion in each group commit and with rests in between."""

    def __init__(self, service: Service, terms: Mapping[Kept, timedelta]) -> None:
        """Clear the database of a service.

        Args:
            service: Whose database.
            terms: How long each thing is kept; what is not named is kept for ever.
        """
        self._service = service.acting_for(SYSTEM)
        self._terms = terms

    async def run(self) -> None:
        """Clear until cancelled, not at once: at the start of a service its workers come first."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            try:
                await self.round()
            except Exception:  # noqa: BLE001  # The loop must outlive every failure; the next round tries again.
                _log.exception("janitor.failed")

    async def round(self) -> None:
        """One round of the loop: remove everything that is old by now."""
        for kept, term in self._terms.items():
            num_rows = 0
            while portion := await self._service.submit(partial(clearing.clear, kept=kept, term=term)):
                num_rows += portion
                await asyncio.sleep(_REST_S)
            if num_rows:
                _log.info("janitor.removed", kind=kept, num_rows=num_rows, older_than_days=term / timedelta(days=1))
