"""One run: put everything up, let things happen for as long as told, calm down, and check the books."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from caviar import Client
from tests.chaos.asking import ask, look_at_files, look_at_logs
from tests.chaos.books import Rows, read_diaries, read_rows
from tests.chaos.checks import PROMISES, Breach, audit, open_books
from tests.chaos.faults import Faults, happen
from tests.chaos.people import DEEDS, People
from tests.chaos.stage import Plan, Stage
from tests.e2e.processes import TOKEN

_PROGRESS_S = 10.0
_FINISH_S = 240.0
# A run goes on for so much longer at most, if something has not happened yet.
_EXTRA_S = 60.0


@dataclass
class Result:
    """What a run has shown.

    Attributes:
        counts: How often each kind of fault happened.
        missing: Kinds that never did.
        figures: How much was done.
        breaches: Of each promise; none where it was kept.
    """

    counts: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    breaches: dict[str, list[Breach]] = field(default_factory=dict)

    @property
    def num_breaches(self) -> int:
        """Broken promises, all together."""
        return sum(len(found) for found in self.breaches.values())

    def add(self, found: Iterable[Breach]) -> None:
        """Take in further findings."""
        for breach in found:
            self.breaches[breach.check].append(breach)


async def run(plan: Plan) -> Result:
    """Run a plan from beginning to end."""
    began = time.monotonic()
    stage = Stage(plan)
    try:
        await stage.start()
        return await _Run(stage, began).all()
    finally:
        await stage.close()


class _Run:
    """The course of one run on a stage that is up."""

    def __init__(self, stage: Stage, began: float) -> None:
        self._stage = stage
        self._began = began
        seeds = random.Random(stage.plan.seed)
        self._chances = [random.Random(seeds.random()) for _ in range(7)]
        self._faults = Faults(stage, self._chances[0])
        self._people = People(stage, self._chances[1])

    async def all(self) -> Result:
        progress = asyncio.create_task(self._progress())
        await self._people.submit()
        self._tell("all is up; faults begin")
        await self._rage()
        self._faults.calm()
        self._tell("faults are over; the studies come to their end")
        left = await self._people.finish(_FINISH_S)
        if left:
            self._tell(f"not ended within {_FINISH_S:g} s: {', '.join(left)}")
        result = Result(breaches={name: [] for name in PROMISES})
        await self._end_workers(result)
        progress.cancel()
        self._tell("checking the books")
        await self._check(result)
        return result

    async def _rage(self) -> None:
        # A short run has time for little else; a long one is to reach states that only undisturbed work leads to.
        hurry = min(1.0, 0.15 + self._stage.plan.minutes / 5)
        tried: Counter[str] = Counter()  # What people tried counts once it is done, which they note themselves.
        lanes = (
            (self._faults.of_services(), self._faults.counts, 6.0),
            (self._faults.of_workers(), self._faults.counts, 1.5),
            (self._faults.of_real_workers(), self._faults.counts, 14.0),
            (self._faults.of_network(), self._faults.counts, 36.0),
            (self._people.deeds(), tried, 0.8),
        )
        self._stage.proxy.storm()
        submitting = asyncio.create_task(self._people.keep_submitting())
        over = asyncio.Event()
        tasks = [submitting]
        for (faults, counts, pause_s), chance in zip(lanes, self._chances[2:], strict=True):
            if faults:
                tasks.append(asyncio.create_task(happen(faults, chance, counts, pause_s * hurry, over)))
        until = time.monotonic() + self._stage.plan.minutes * 60
        while (left_s := until - time.monotonic()) > (-_EXTRA_S if self._missing() else 0.0):
            ended, _ = await asyncio.wait(
                tasks, timeout=min(1.0, max(left_s, 0.5)), return_when=asyncio.FIRST_COMPLETED
            )
            for task in ended:
                task.result()  # They end by errors of the run itself only.
        over.set()
        self._stage.proxy.calm()
        submitting.cancel()
        # Half a fault would leave a database down, or a disk full, that nobody mends.
        await asyncio.gather(*tasks[1:])
        await asyncio.gather(submitting, return_exceptions=True)

    def _counts(self) -> Counter[str]:
        return self._faults.counts + self._stage.proxy.counts + self._people.counts

    def _missing(self) -> list[str]:
        counts = self._counts()
        wanted = (self._faults.kinds() | DEEDS) - self._stage.plan.without
        return sorted(kind for kind in wanted if not counts[kind])

    async def _end_workers(self, result: Result) -> None:
        workers = [*self._stage.simulated, *self._stage.real]
        deaths = Counter({child.name: child.num_deaths for child in self._stage.children})
        statuses = await asyncio.gather(*(worker.stop() for worker in workers))
        for worker, status in zip(workers, statuses, strict=True):
            if status not in (0, -signal.SIGTERM):  # The latter, while it is still starting.
                result.add([Breach("alive", f"{worker.name} ended with {status} when asked to; see its log")])
        for name, count in deaths.items():
            if count:
                result.add([Breach("alive", f"{name} ended by itself, {count} times; see its log")])

    async def _check(self, result: Result) -> None:
        stage = self._stage
        for service in stage.services:
            await service.until_up(60.0)
        rows = await asyncio.to_thread(read_rows, stage.database_url)
        diaries = read_diaries(stage.plan.folder / "diaries")
        for name, found in audit(open_books(rows, diaries)).items():
            result.breaches[name] += found
        for number in range(len(stage.services)):
            with Client(stage.url(number), TOKEN) as client:
                result.add(await asyncio.to_thread(ask, client, rows))
        result.add(look_at_files(stage.disk.folder / "artifacts", rows))
        result.add(look_at_logs(stage.plan.folder / "logs"))
        result.counts, result.missing = self._counts(), self._missing()
        result.add(Breach("faults", f"{kind} never happened; run for longer") for kind in result.missing)
        result.figures = {
            "studies": len(rows.studies),
            "trials": len(rows.trials),
            "attempts": len(rows.attempts),
            "measurements": len(rows.measurements),
            "acknowledgements": len(diaries.answers),
            "events": sum(len(events) for events in rows.events.values()),
            "files": len(diaries.files),
            "requests": stage.proxy.num_requests,
            "repeats_compared": len(diaries.repeats),
            "leases_given": len(diaries.grants),
        }
        if result.num_breaches:
            _keep(rows, result, stage.plan)

    async def _progress(self) -> None:
        for _ in itertools.count():
            await asyncio.sleep(_PROGRESS_S)
            proxy, counts = self._stage.proxy, self._faults.counts + self._people.counts
            running = sum(child.is_running for child in self._stage.children)
            self._tell(
                f"{len(self._people.names)} studies, {proxy.num_requests} requests, {proxy.counts.total()} harmed, "
                f"{counts.total()} faults and deeds, {running} processes"
            )

    def _tell(self, text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self._began:7.1f} s  {text}\n")
        sys.stdout.flush()


def _keep(rows: Rows, result: Result, plan: Plan) -> None:
    """Keep the evidence beside the diaries and logs: the disk goes with the run."""
    folder = plan.folder / "evidence"
    folder.mkdir()
    tables = {
        "studies": rows.studies.values(),
        "trials": rows.trials.values(),
        "attempts": rows.attempts.values(),
        "measurements": rows.measurements,
        "events": itertools.chain.from_iterable(rows.events.values()),
        "artifacts": rows.artifacts,
        "leases": rows.leases,
    }
    for name, table in tables.items():
        lines = "".join(f"{json.dumps(row, default=str)}\n" for row in table)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    found = [f"{name}: {breach.detail}\n" for name, breaches in result.breaches.items() for breach in breaches]
    (folder / "breaches.txt").write_text("".join(found), encoding="utf-8")
