"""What open pages cost a service under load, with many of them and without, and how late they hear of a report.

A real service process on SQLite, a process that reports epochs over the wire, and a process with many connections to
the stream of changes of one study. Windows with and without pages take turns under the same load; printed are medians.
The latency is the time from the acknowledgement of a report to its arrival at a page.

    python benchmarks/live_pages.py [--pages 200] [--rate 50] [--seconds 15] [--rounds 3] [--trials 100000]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
from sqlalchemy import select, update

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving import TOKEN, serving
from benchmarks.synthetic import SPACE, make
from caviar.contract.study import StudySpec
from service.domain.principal import SYSTEM
from service.store import migrations, schema
from service.store.engine import connect, write
from service.use_cases import submitting

_ROOT = Path(__file__).resolve().parents[1]
_STUDY = "busy"
_OBJECTIVE = "mlp"
_MAX_EPOCHS = 27
_WARM_UP_S = 5.0
_EXTRA_PERCENT, _LATENCY_S = 20.0, 1.0


@dataclass
class _Found:
    """What the windows of one study showed.

    Attributes:
        idle: Percent of one core without pages, by window.
        busy: The same with pages.
        page_bytes: Bytes per page and second, by window.
        latencies: Seconds from acknowledgements to arrivals.
        rate: Epochs a second that were acknowledged in fact.
    """

    idle: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    page_bytes: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    rate: float = 0.0


def _prepare(home: Path, num_old: int) -> None:
    """A database with one study that proposes at random and stops nobody, with made-up old trials."""
    url = f"sqlite:///{home / 'caviar.db'}"
    migrations.upgrade(url)
    engine = connect(url)
    now = datetime.now(UTC)
    body = {
        "name": _STUDY,
        "objective": {"name": _OBJECTIVE, "config": {"dataset": "digits"}},
        "space": SPACE,
        "strategy": {"kind": "random"},
        "pruner": {"kind": "none"},
        "early_stopping": None,
        "budget": {"max_trials": None, "max_epochs": _MAX_EPOCHS, "max_seconds": 1e6},
    }
    spec = StudySpec.model_validate(body)
    try:
        if num_old == 0:
            with write(engine, now, SYSTEM) as tx:
                submitting.create(tx, spec)
            return
        make(engine, name=_STUDY, num_trials=num_old, seed=7, now=now)
        with write(engine, now, SYSTEM) as tx:
            stored = tx.connection.execute(select(schema.studies.c.spec)).scalar_one()
            simple = stored | {
                key: spec.model_dump(mode="json")[key] for key in ("strategy", "pruner", "early_stopping", "budget")
            }
            tx.connection.execute(update(schema.studies).values(spec=simple, created_at=now))
    finally:
        engine.dispose()


def _spawn(module: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"benchmarks.live.{module}", *map(str, arguments)]
    return subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _percent(process: psutil.Process, seconds: float) -> float:
    """Percent of one core that a process takes over some seconds."""

    def spent() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before, begun = spent(), time.monotonic()
    time.sleep(seconds)
    return 100 * (spent() - before) / (time.monotonic() - begun)


def _watched(origin: str, service: psutil.Process, given: argparse.Namespace, found: _Found) -> list[list[float]]:
    readers = _spawn("readers", origin, TOKEN, _STUDY, given.pages, given.seconds + 2)
    if readers.stdout is None or readers.stdout.readline() != "ready\n":
        raise SystemExit("the pages did not all connect")
    found.busy.append(_percent(service, given.seconds))
    told = json.loads(readers.communicate()[0])
    found.page_bytes.append(told["bytes"] / given.pages / (given.seconds + 2))
    arrived: list[list[float]] = told["arrived"]
    return arrived


def _measure(num_old: int, given: argparse.Namespace) -> _Found:
    found, arrived = _Found(), []
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder), num_old)
        with serving(Path(folder)) as (origin, service):
            load = _spawn("load", origin, TOKEN, _OBJECTIVE, given.rate, _MAX_EPOCHS)
            time.sleep(_WARM_UP_S)
            # The first proposal of a process reads all trials; that is not what is measured.
            while _percent(service, 1.0) > 90:
                continue
            for _ in range(given.rounds):
                found.idle.append(_percent(service, given.seconds))
                arrived += _watched(origin, service, given, found)
                time.sleep(2)
            acknowledged = {(trial, epoch): at for trial, epoch, at in json.loads(load.communicate("")[0])}
    found.rate = len(acknowledged) / (max(acknowledged.values()) - min(acknowledged.values()))
    for trial, epoch, at in arrived:
        if (begun := acknowledged.get((trial, epoch))) is not None:
            found.latencies.append(at - begun)
    return found


def _print(num_old: int, found: _Found, given: argparse.Namespace) -> None:
    idle, busy = statistics.median(found.idle), statistics.median(found.busy)
    late = sorted(found.latencies)
    p99 = late[int(0.99 * (len(late) - 1))] if late else float("nan")
    extra = busy - idle
    rows = [
        ("epochs acknowledged", f"{found.rate:.1f}/s"),
        ("service without pages", f"{idle:.1f} % of a core"),
        (f"service with {given.pages} pages", f"{busy:.1f} % of a core"),
        ("extra", f"{extra:.1f} % of a core (< {_EXTRA_PERCENT:.0f}: {_word(extra < _EXTRA_PERCENT)})"),
        ("a page", f"{statistics.median(found.page_bytes) / 1000:.1f} kB/s"),
        ("report to page, median", f"{statistics.median(late) if late else float('nan'):.2f} s"),
        ("report to page, 99 %", f"{p99:.2f} s (< {_LATENCY_S:.0f}: {_word(p99 < _LATENCY_S)})"),
        ("points that arrived", f"{len(late):,}"),
    ]
    sys.stdout.write(
        f"\n{num_old:,} old trials, {given.rate:g} epochs/s, {given.rounds} windows of {given.seconds:g} s\n"
    )
    sys.stdout.write("".join(f"  {name:<28}{value}\n" for name, value in rows))
    sys.stdout.flush()


def _word(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=200, help="open pages")
    parser.add_argument("--rate", type=float, default=50.0, help="epochs a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of a window")
    parser.add_argument("--rounds", type=int, default=3, help="windows with pages, and as many without")
    parser.add_argument("--trials", type=int, default=100_000, help="old trials of the second study; 0 leaves it out")
    given = parser.parse_args()
    for num_old in dict.fromkeys((0, given.trials)):
        _print(num_old, _measure(num_old, given), given)


if __name__ == "__main__":
    main()
