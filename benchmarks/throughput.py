"""How many reports a second the service takes, each of them durable before its answer, beside peers on this machine.

Three parts. `crowd`: worker processes claim trials of 5 parameters and report 20 epochs each, one report per request,
with median pruning; Caviar's by the worker's own client, Optuna's by its storages. The systems take turns, and printed
are medians of the rounds. `load`: a load generator on the route of reports, beside a bare FastAPI route that inserts
one row by the same kind of group commit, in pairs. `soak`: many workers that report seldom, for minutes.

    python benchmarks/throughput.py crowd [--processes 1,8,32] [--old 0,10000] [--seconds 8] [--rounds 3]
    python benchmarks/throughput.py load [--connections 8,32] [--seconds 8] [--rounds 5]
    python benchmarks/throughput.py soak [--workers 1000] [--pause 10] [--minutes 10]

To give `RDBStorage` 10,000 trials takes a quarter of an hour; `--without RDBStorage` leaves it out.
`--databases sqlite,postgres` chooses the databases; a Postgres server of the tests is started for them.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.reports import caviar_fleet, generator, optuna_fleet
from benchmarks.reports.crowd import Figures, Joining, measure
from benchmarks.reports.soak import soak
from benchmarks.serving import serving
from tests.postgres import PostgresServer

_numbers = itertools.count()
Opened = Callable[[int], "AbstractContextManager[Joining]"]
"""Makes a system ready that has so many old trials."""


@dataclass(frozen=True)
class _System:
    name: str
    open: Opened
    is_ours: bool = False


class _Place:
    """Scratch folders and databases."""

    def __init__(self, stack: ExitStack, kinds: list[str]) -> None:
        self._root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="caviar-bench-")))
        self._server: PostgresServer | None = None
        if "postgres" in kinds:
            self._server = PostgresServer(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="caviar-pg-"))))
            stack.callback(self._server.stop, immediate=True)
            self._server.start()

    def folder(self) -> Path:
        """A new folder."""
        made = self._root / f"{next(_numbers)}"
        made.mkdir()
        return made

    def database(self, kind: str) -> str:
        """Address of a new, empty database."""
        if self._server is None or kind == "sqlite":
            return f"sqlite:///{self.folder() / 'bench.db'}"
        return self._server.create_database(f"bench_{next(_numbers)}")


@contextmanager
def _caviar(place: _Place, kind: str, num_old: int) -> Iterator[Joining]:
    database_url = place.database(kind)
    caviar_fleet.prepare(database_url, num_old)
    settings = {"CAVIAR_DATABASE_URL": database_url, "CAVIAR_WORKER_REQUESTS_PER_S": "0", "CAVIAR_REQUESTS_PER_S": "0"}
    with serving(place.folder(), **settings) as (origin, _):
        yield functools.partial(caviar_fleet.CaviarWorker, origin)


@contextmanager
def _optuna(place: _Place, kind: str, num_old: int) -> Iterator[Joining]:
    address = f"journal:{place.folder() / 'journal.log'}" if kind == "journal" else place.database(kind)
    optuna_fleet.prepare(address, num_old)
    yield functools.partial(optuna_fleet.OptunaWorker, address)


def _systems(place: _Place, kinds: list[str]) -> list[_System]:
    ours = [_System(f"Caviar, {kind}", functools.partial(_caviar, place, kind), is_ours=True) for kind in kinds]
    peers = [_System(f"Optuna RDBStorage, {kind}", functools.partial(_optuna, place, kind)) for kind in kinds]
    journal = _System("Optuna journal file", functools.partial(_optuna, place, "journal"))
    return [*ours, *peers, journal]


def _crowd(place: _Place, arguments: argparse.Namespace) -> None:
    systems = [
        one
        for one in _systems(place, arguments.databases)
        if not arguments.without or arguments.without not in one.name
    ]
    for num_old in arguments.old:
        found: dict[tuple[str, int], list[Figures]] = {}
        with ExitStack() as stack:
            joins = {system.name: stack.enter_context(system.open(num_old)) for system in systems}
            for _ in range(arguments.rounds):
                for processes, system in itertools.product(arguments.processes, systems):
                    rounds = found.setdefault((system.name, processes), [])
                    try:
                        rounds.append(measure(joins[system.name], processes, arguments.seconds))
                    except RuntimeError as error:
                        # A peer that gives up under the load, as it may, does not take the others' figures along.
                        if system.is_ours:
                            raise
                        print(f"{system.name}, {processes} processes: {error}", flush=True)
        _show_crowd(num_old, arguments.processes, found)


def _show_crowd(num_old: int, processes: list[int], found: dict[tuple[str, int], list[Figures]]) -> None:
    print(f"\nreports/s with {num_old:,} old trials, medians (p99 of a report in ms)")
    print(f"{'':28s}" + "".join(f"{count:>5d} processes " for count in processes))
    for name in dict.fromkeys(name for name, _ in found):
        cells = []
        for count in processes:
            rounds = found[name, count]
            if not rounds:
                cells.append("  failed".ljust(16))
                continue
            rate = statistics.median(one.rate for one in rounds)
            p99_ms = 1000 * statistics.median(one.p99_s for one in rounds)
            cells.append(f"{rate:8.0f} ({p99_ms:.0f})".ljust(16))
        print(f"{name:28s}" + "".join(cells), flush=True)


def _load(place: _Place, arguments: argparse.Namespace) -> None:
    print(f"\n{'requests/s, medians':28s}{'bare route':>12s}{'Caviar':>10s}{'ratio':>8s}{'p99 ms':>8s}")
    num_trials = 2 * max(arguments.connections)
    for kind in arguments.databases:
        with (
            generator.bare(place.database(kind), num_trials) as bare,
            generator.service(place.database(kind), place.folder(), num_trials) as ours,
        ):
            scratch = place.folder()
            for target in (bare, ours):
                target.load(max(arguments.connections), 2, scratch)
            for connections in arguments.connections:
                pairs = [
                    tuple(target.load(connections, arguments.seconds, scratch) for target in (bare, ours))
                    for _ in range(arguments.rounds)
                ]
                rates = [statistics.median(pair[at].rate for pair in pairs) for at in (0, 1)]
                ratio = statistics.median(pair[1].rate / pair[0].rate for pair in pairs)
                p99_ms = 1000 * statistics.median(pair[1].p99_s for pair in pairs)
                name = f"{kind}, {connections} connections"
                print(f"{name:28s}{rates[0]:12.0f}{rates[1]:10.0f}{ratio:8.2f}{p99_ms:8.1f}", flush=True)


def _soak(place: _Place, arguments: argparse.Namespace) -> None:
    for kind in arguments.databases:
        database_url = place.database(kind)
        caviar_fleet.prepare(database_url, 0)
        with serving(place.folder(), CAVIAR_DATABASE_URL=database_url) as (origin, process):
            before = process.cpu_times()
            seconds = 60 * arguments.minutes
            seen = soak(origin, num_workers=arguments.workers, pause_s=arguments.pause, seconds=seconds)
            after = process.cpu_times()
        used = (after.user + after.system - before.user - before.system) / seconds
        print(
            f"{kind}: {arguments.workers} workers, a report each {arguments.pause:g} s, {arguments.minutes:g} minutes: "
            f"{len(seen.latencies)} reports, {len(seen.errors)} errors, p50 "
            f"{1000 * statistics.median(seen.latencies):.1f} ms, p99 {1000 * seen.p99_s():.1f} ms, longest "
            f"{1000 * max(seen.latencies):.0f} ms; the service took {100 * used:.0f} % of a core",
            flush=True,
        )
        for error in seen.errors[:5]:
            print(f"  {error}")


def _numbers_of(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Measure one part, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["crowd", "load", "soak"])
    parser.add_argument("--databases", type=lambda text: text.split(","), default=["sqlite", "postgres"])
    parser.add_argument("--processes", type=_numbers_of, default=[1, 8, 32], help="worker processes side by side")
    parser.add_argument("--old", type=_numbers_of, default=[0, 10_000], help="complete trials that the study holds")
    parser.add_argument("--without", help="part of the names of systems that are left out of a crowd")
    parser.add_argument("--connections", type=_numbers_of, default=[8, 32], help="of the load generator")
    parser.add_argument("--seconds", type=float, default=8.0, help="that each measurement takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1000, help="simulated workers of the soak")
    parser.add_argument("--pause", type=float, default=10.0, help="seconds between two reports of one of them")
    parser.add_argument("--minutes", type=float, default=10.0, help="that the soak takes")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        {"crowd": _crowd, "load": _load, "soak": _soak}[arguments.part](_Place(stack, arguments.databases), arguments)


if __name__ == "__main__":
    main()
