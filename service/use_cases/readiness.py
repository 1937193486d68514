"""Whether this process can do its work now, told in time whatever hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from caviar.contract.errors import CaviarError
from service.domain.principal import SYSTEM
from service.store import migrations
from service.store.engine import ping
from service.store.transaction import Transaction
from service.use_cases.probing import Probe
from service.use_cases.service import Service

PATIENCE_S = 1.5
"""Seconds that any check may take; together they take no longer, because none waits for another."""

EXPECTED = {
    "database": "a database that answers a question",
    "schema": "the tables of this version; `caviar db upgrade` brings them there",
    "writer": "a transaction that is committed",
    "clockwork": "a loop that looks after leases and time limits",
}
"""What holds if a check holds, by its name."""

_KEPT_S = 1.0
# It goes round every second, but waits for the writer, which may be busy.
_CLOCKWORK_AGE_S = 30.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes:
        name: What it is about.
        is_ok: Whether it holds.
        age_s: Seconds since it held last; None if it never did.
        detail: Why it does not hold; None if it does.
    """

    name: str
    is_ok: bool
    age_s: float | None
    detail: str | None = None


class Readiness:
    """Looks at everything at once, at most once a second, however often it is asked."""

    def __init__(
        self,
        service: Service,
        *,
        head: Callable[[], str | None],
        clockwork_age_s: Callable[[], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing looked at yet.

        Args:
            service: The service.
            head: Tells the revision of the tables that this version works with.
            clockwork_age_s: Seconds since the clockwork went round; None before the first time.
            clock: Tells seconds.
        """
        self._service = service.acting_for(SYSTEM)
        self._head, self._clockwork_age_s, self._clock = head, clockwork_age_s, clock
        self._database = Probe(self._revision, kept_s=_KEPT_S / 2, clock=clock)
        self._writing: asyncio.Future[None] | None = None
        self._round: asyncio.Task[list[Check]] | None = None
        self._begun_at = 0.0
        self._held_at: dict[str, float] = {}

    async def checks(self) -> list[Check]:
        """Every check, not older than a second."""
        if self._round is None or (self._round.done() and self._clock() - self._begun_at >= _KEPT_S):
            self._begun_at = self._clock()
            self._round = asyncio.create_task(self._check_all())
        return await asyncio.shield(self._round)

    async def _check_all(self) -> list[Check]:
        (database, schema), writer = await asyncio.gather(self._check_database(), self._check_writer())
        age_s = self._clockwork_age_s()
        stands = "it has not gone round yet" if age_s is None else f"it went round {age_s:.0f} s ago"
        is_ticking = age_s is not None and age_s <= _CLOCKWORK_AGE_S
        failures = {
            "database": database,
            "schema": schema,
            "writer": writer,
            "clockwork": None if is_ticking else stands,
        }
        return [self._told(name, detail) for name, detail in failures.items()]

    def _told(self, name: str, detail: str | None) -> Check:
        if detail is None:
            self._held_at[name] = self._begun_at
        held_at = self._held_at.get(name)
        age_s = None if held_at is None else round(self._clock() - held_at, 3)
        return Check(name, detail is None, age_s, detail)

    async def _check_database(self) -> tuple[str | None, str | None]:
        try:
            found, head = await self._database.answer(PATIENCE_S)
        except TimeoutError:
            return f"no answer within {PATIENCE_S:g} s", "not known without the database"
        except CaviarError as error:
            return error.detail, "not known without the database"
        return None, None if found == head else f"the tables are at {found or 'nothing'}, this version needs {head}"

    async def _check_writer(self) -> str | None:
        # One that hangs is not given more to do.
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._service.submit(_nothing))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.shield(self._writing)
        except TimeoutError:
            return f"no commit within {PATIENCE_S:g} s"
        except CaviarError as error:
            return error.detail
        return None

    def _revision(self) -> tuple[str | None, str | None]:
        with self._service.reading() as tx:
            ping(tx)
            return migrations.stamped(tx), self._head()


def _nothing(tx: Transaction) -> None:
    """An operation that does nothing, to see one committed."""
