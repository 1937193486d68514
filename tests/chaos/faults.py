"""What happens to processes, disk, clock and network."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from tests.chaos.children import Child
from tests.chaos.proxy import BLACKHOLE, WEATHER
from tests.chaos.stage import LEASE_TTL_S, Stage

Fault = Callable[[], Awaitable[None]]
_UP_S = 60.0
# By how much a clock is moved: hardly, about a lease, and as by a wrong time zone.
_JUMPS_S = (0.4, 2.0, 5.0, 61.0, 3600.0)


class Faults:
    """Does to a stage what happens to machines.

    Attributes:
        counts: How often each thing happened.
    """

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._stage = stage
        self._chance = chance

    def of_services(self) -> dict[str, Fault]:
        """What happens to services, their database, their disk and their clock, by kind."""
        found: dict[str, Fault] = {
            "service_killed": lambda: self._kill(self._stage.services),
            "service_stopped": lambda: self._stop(self._stage.services),
            "service_frozen": lambda: self._freeze(self._stage.services),
            "clock_set_forward": lambda: self._move_clock(1),
            "clock_set_back": lambda: self._move_clock(-1),
            "disk_filled": self._fill_disk,
        }
        if self._stage.postgres is not None:
            found["database_killed"] = lambda: self._crash_database(is_killed=True)
            found["database_crashed"] = lambda: self._crash_database(is_killed=False)
        return self._allowed(found)

    def of_workers(self) -> dict[str, Fault]:
        """What happens to workers, by kind."""
        found: dict[str, Fault] = {
            "worker_killed": lambda: self._kill(self._stage.simulated),
            "worker_stopped": lambda: self._stop(self._stage.simulated),
            "worker_frozen": lambda: self._freeze(self._stage.simulated),
        }
        return self._allowed(found)

    def of_real_workers(self) -> dict[str, Fault]:
        """What happens to real workers, by kind."""
        found: dict[str, Fault] = {
            "real_worker_killed": lambda: self._kill(self._stage.real),
            "real_worker_stopped": lambda: self._stop(self._stage.real),
            "real_worker_frozen": lambda: self._freeze(self._stage.real),
        }
        return self._allowed(found) if self._stage.real else {}

    def of_network(self) -> dict[str, Fault]:
        """What happens to the whole network, by kind."""
        return self._allowed({BLACKHOLE: self._blackhole})

    def kinds(self) -> set[str]:
        """All kinds that this run is to see."""
        own = (self.of_services(), self.of_workers(), self.of_real_workers(), self.of_network())
        return {kind for faults in own for kind in faults} | (WEATHER.keys() - self._stage.plan.without)

    def calm(self) -> None:
        """End what is still going on."""
        self._stage.proxy.calm()
        self._stage.disk.free()
        for child in self._stage.children:
            child.signal(signal.SIGCONT)
            child.is_wanted = True

    def _allowed(self, found: dict[str, Fault]) -> dict[str, Fault]:
        return {kind: fault for kind, fault in found.items() if kind not in self._stage.plan.without}

    async def _kill(self, among: Sequence[Child]) -> None:
        child = self._chance.choice(among)
        await child.kill()
        await self._rest(child)

    async def _stop(self, among: Sequence[Child]) -> None:
        child = self._chance.choice(among)
        if await child.stop() is None:
            self.counts[f"{child.name} did not stop when asked"] += 1
        await self._rest(child)

    async def _rest(self, child: Child) -> None:
        # For a moment, or for longer than its leases last.
        await asyncio.sleep(self._chance.choice((0.1, 0.5, LEASE_TTL_S * 1.3)) * self._chance.uniform(0.5, 1.0))
        child.is_wanted = True
        await child.until_up(_UP_S)

    async def _freeze(self, among: Sequence[Child]) -> None:
        child = self._chance.choice(among)
        child.signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE_TTL_S * self._chance.uniform(1.1, 2.0))
        child.signal(signal.SIGCONT)

    async def _move_clock(self, sign: int) -> None:
        self._stage.clock.move(sign * self._chance.choice(_JUMPS_S) * self._chance.uniform(0.9, 1.1))

    async def _fill_disk(self) -> None:
        self._stage.disk.fill()
        await asyncio.sleep(self._chance.uniform(1.0, 4.0))
        self._stage.disk.free()
        await self._mend_database()

    async def _crash_database(self, *, is_killed: bool) -> None:
        database = self._stage.postgres
        assert database is not None
        if is_killed:
            await asyncio.to_thread(database.kill)
        else:
            await asyncio.to_thread(database.stop, immediate=True)
        await asyncio.sleep(self._chance.uniform(0.1, LEASE_TTL_S))
        await asyncio.to_thread(database.start)

    async def _mend_database(self) -> None:
        # A server that cannot write its log ends itself rather than forget anything; its operator starts it again.
        database = self._stage.postgres
        if database is not None and not database.is_running:
            await asyncio.to_thread(database.stop, immediate=True)
            await asyncio.to_thread(database.start)

    async def _blackhole(self) -> None:
        seconds = self._chance.uniform(0.5, LEASE_TTL_S * 1.3)
        self._stage.proxy.blackhole(seconds)
        await asyncio.sleep(seconds)


async def happen(
    faults: dict[str, Fault], chance: random.Random, counts: Counter[str], pause_s: float, over: asyncio.Event
) -> None:
    """Let faults happen one after the other, each kind as often as the others; the last one comes to its own end.

    Args:
        faults: By kind, one at least.
        chance: Decides the order and the pauses.
        counts: Of each kind, once it has begun.
        pause_s: Mean seconds between two.
        over: Set when nothing shall begin any more.
    """
    deck: list[str] = []
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), pause_s * chance.uniform(0.5, 1.5))
        if over.is_set():
            return
        if not deck:
            deck = chance.sample(sorted(faults), len(faults))
        kind = deck.pop()
        counts[kind] += 1
        await faults[kind]()
