"""Everything that a run puts up: database, services, the network between, workers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.children import Child
from tests.chaos.clock import MovableClock
from tests.chaos.diary import Diary
from tests.chaos.disk import Disk
from tests.chaos.proxy import Proxy, Upstream
from tests.chaos.serving import serve
from tests.chaos.simulated import Habits, Place
from tests.chaos.simulated import work as simulate
from tests.chaos.wire import Broken, Wire
from tests.chaos.working import work
from tests.e2e.processes import TOKEN, free_port
from tests.postgres import PostgresServer

LEASE_TTL_S = 3.0
_HOST = "127.0.0.1"
_START_S = 240.0


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        minutes: How long faults happen.
        database: `sqlite` or `postgres`.
        num_services: Services on the one database.
        num_workers: Workers in all.
        num_real: How many of them are real ones.
        epoch_s: Mean seconds of a simulated epoch.
        seed: Of all chance.
        without: Kinds of faults that are left out.
        folder: For everything that is written.
    """

    minutes: float
    database: str
    num_services: int
    num_workers: int
    num_real: int
    epoch_s: float
    seed: int
    without: frozenset[str]
    folder: Path


class Stage:
    """The parts of a run.

    Attributes:
        plan: What to run.
        services: The service processes.
        simulated: Workers that make up their trainings.
        real: Workers as users start them.
        proxy: Between the two.
        clock: The services'.
        disk: Where database and files lie.
        postgres: The database server; None with SQLite.
        wire: A client behind the proxy, as people are.
    """

    def __init__(self, plan: Plan) -> None:
        """Prepare everything in the plan's folder; nothing is started."""
        self.plan = plan
        for name in ("diaries", "logs", "homes"):
            (plan.folder / name).mkdir()
        self.disk = Disk(plan.folder / "disk", is_mounted="disk_filled" not in plan.without)
        self.clock = MovableClock(plan.folder / "clock")
        self.postgres = PostgresServer(self.disk.folder / "pg") if plan.database == "postgres" else None
        self.database_url = f"sqlite:///{self.disk.folder / 'caviar.db'}"
        self.ports = [free_port() for _ in range(plan.num_services)]
        self.services: list[Child] = []
        self.simulated: list[Child] = []
        self.real: list[Child] = []
        self._network_diary = Diary(plan.folder / "diaries" / "network.jsonl")
        self.proxy = Proxy(self._upstreams, plan.seed, self._network_diary)
        self.wire = Wire(_HOST, 0, TOKEN)
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def children(self) -> Sequence[Child]:
        """All processes but the database."""
        return (*self.services, *self.simulated, *self.real)

    def url(self, number: int = 0) -> str:
        """Address of a service itself, without the proxy before it."""
        return f"http://{_HOST}:{self.ports[number]}"

    def _upstreams(self) -> list[Upstream]:
        running = [port for port, child in zip(self.ports, self.services, strict=True) if child.is_running]
        return [Upstream(_HOST, port) for port in running]

    async def start(self) -> None:
        """Put everything up, and return once the services answer.

        Raises:
            RuntimeError: They do not.
        """
        if self.postgres is not None:
            await asyncio.to_thread(self.postgres.start)
            self.database_url = self.postgres.create_database("chaos")
        await self.proxy.start()
        self.wire.port = self.proxy.port
        for number in range(self.plan.num_services):
            self._put_up(self.services, self._service(number))
            # The first one brings the database up to date.
            if not await self.services[number].until_up(_START_S):
                raise RuntimeError(f"a service did not start; its log is {self.services[number].log}")
        for number in range(self.plan.num_real):
            self._put_up(self.real, self._real_worker(number))
        for number in range(self.plan.num_workers - self.plan.num_real):
            self._put_up(self.simulated, self._simulated_worker(number))
        if not await self._are_registered():
            raise RuntimeError(f"the workers did not register; their logs are in {self.plan.folder / 'logs'}")

    async def _are_registered(self) -> bool:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(Broken):
                status, answer = await self.wire.call("GET", "/workers")
                # One whose answer was slow in coming may have registered twice.
                names = {item["name"] for item in answer["items"]} if status == 200 and answer is not None else set()
                if len(names) >= self.plan.num_workers:
                    return True
            await asyncio.sleep(0.2)
        return False

    def _put_up(self, among: list[Child], child: Child) -> None:
        among.append(child)
        child.is_wanted = True
        self._keepers.append(asyncio.create_task(child.keep()))

    def _service(self, number: int) -> Child:
        settings = {
            "CAVIAR_HOME": str(self.disk.folder / "home"),
            "CAVIAR_DATABASE_URL": self.database_url,
            "CAVIAR_ARTIFACTS_URL": str(self.disk.folder / "artifacts"),
            "CAVIAR_PORT": str(self.ports[number]),
            "CAVIAR_TOKEN": TOKEN,
            "CAVIAR_LEASE_TTL_S": str(LEASE_TTL_S),
        }
        name, port = f"service-{number}", self.ports[number]
        clock = self.plan.folder / "clock"
        return Child(name, serve, (clock,), environment=settings, log=self._log(name), is_up=lambda: _listens(port))

    def _simulated_worker(self, number: int) -> Child:
        name = f"simulated-{number}"
        habits = Habits(name, slots=1 + number % 2, epoch_s=self.plan.epoch_s, seed=self.plan.seed + number)
        place = Place(_HOST, self.proxy.port, TOKEN, self._diary(name))
        return Child(name, simulate, (habits, place), environment={}, log=self._log(name))

    def _real_worker(self, number: int) -> Child:
        name = f"real-{number}"
        settings = {
            "CAVIAR_HOME": str(self.plan.folder / "homes" / name),
            "CAVIAR_URL": f"http://{_HOST}:{self.proxy.port}",
            "CAVIAR_TOKEN": TOKEN,
            "CAVIAR_NAME": name,
            "CAVIAR_DEVICES": "cpu",
            "CAVIAR_CPU_SLOTS": "1",
            "CAVIAR_THREADS_PER_SLOT": "1",
            "CAVIAR_PIN_CORES": "false",
            "CAVIAR_CLAIM_WAIT_S": "1",
            "CAVIAR_OBJECTIVES": f'["{Path(__file__).with_name("objective.py")}"]',
        }
        return Child(name, work, (self._diary(name),), environment=settings, log=self._log(name))

    def _diary(self, name: str) -> Path:
        return self.plan.folder / "diaries" / f"{name}.jsonl"

    def _log(self, name: str) -> Path:
        return self.plan.folder / "logs" / f"{name}.log"

    async def close(self) -> None:
        """End whatever is left."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for child in self.children:
            child.end()
        if self.postgres is not None:
            await asyncio.to_thread(self.postgres.stop, immediate=True)
        await self.proxy.close()
        self.wire.close()
        self._network_diary.close()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=0.2):
        return True
    return False
