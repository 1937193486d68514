"""How fast and how heavy the pages are for a study of many trials, and when Chromium paints them first.

A real service process on SQLite serves a made-up study; each page is fetched over a kept-alive connection, so the times
hold the network of this machine as well. Printed are medians, bytes as they are and after gzip, and targets.

    python benchmarks/pages.py [--trials 100000] [--repeats 15] [--no-browser]
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving import TOKEN, serving
from benchmarks.synthetic import make
from service.store import migrations
from service.store.engine import connect

STUDY = "synthetic"
_SERVER_MS, _PAGE_BYTES, _CURVES_BYTES, _PAINT_MS = 150.0, 300_000, 500_000, 1000.0
_PAGES = {
    "studies": "/",
    "leaderboard": "/studies/{study}",
    "leaderboard, page 500": "/studies/{study}?after=49900",
    "leaderboard by a parameter": "/studies/{study}?sort=learning_rate",
    "leaderboard, filtered": "/studies/{study}?state=complete&where=learning_rate:1e-3..1e-2",
    "curves": "/studies/{study}/curves",
    "zoom map": "/studies/{study}/zoom",
    "analysis": "/studies/{study}/analysis",
    "rungs": "/studies/{study}/rungs",
    "timeline": "/studies/{study}/timeline",
    "set-up": "/studies/{study}/setup",
    "trial": "/trials/1",
    "workers": "/workers",
}
_JSON = {
    "curves as JSON": "/api/v1/studies/{study}/curves?sample=500",
    "points as JSON": "/api/v1/studies/{study}/points",
    "leaderboard as JSON": "/api/v1/studies/{study}/leaderboard",
}
_PAINTED = ("studies", "leaderboard", "curves", "zoom map", "analysis", "timeline")


def _fetch(client: httpx2.Client, path: str, repeats: int) -> tuple[list[float], int, int]:
    """Milliseconds of each fetch after a first one, and bytes before and after gzip."""
    times, content = [], b""
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        answer = client.get(path)
        times.append(1000 * (time.perf_counter() - begun))
        if answer.status_code != httpx2.codes.OK:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        content = answer.content
    return times[1:], len(content), len(gzip.compress(content, 4))


def _verdict(value: float, target: float | None) -> str:
    return "" if target is None else f"({target:,.0f} {'met' if value <= target else 'MISSED'})"


def show_fetches(client: httpx2.Client, repeats: int) -> None:
    """Fetch every page and print what it took."""
    print(f"{'':30}{'median ms':>10}{'worst ms':>10}{'':>15}{'bytes':>11}{'gzip':>10}")
    for name, path in (_PAGES | _JSON).items():
        times, num_bytes, compressed = _fetch(client, path.format(study=STUDY), repeats)
        median = statistics.median(times)
        limit = _CURVES_BYTES if "JSON" in name or name in ("curves", "analysis", "zoom map") else _PAGE_BYTES
        print(
            f"{name:30}{median:10.1f}{max(times):10.1f} {_verdict(median, _SERVER_MS):14}"
            f"{num_bytes:11,}{compressed:10,} {_verdict(num_bytes, limit)}",
            flush=True,
        )


def show_paints(origin: str, repeats: int) -> None:
    """Open pages in Chromium, each time as if for the first time, and print when something is seen."""
    from tests.browser.chromium import page_of, running, sync_playwright

    script = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
    print(f"\n{'first contentful paint':30}{'median ms':>10}")
    with sync_playwright() as playwright, running(playwright) as browser:
        for name in _PAINTED:
            times = []
            for _ in range(repeats):
                with page_of(browser, origin, TOKEN) as (page, _watch):
                    page.goto(_PAGES[name].format(study=STUDY))
                    painted = page.wait_for_function(script).json_value()
                    times.append(float(painted))
            median = statistics.median(times)
            print(f"{name:30}{median:10.0f} {_verdict(median, _PAINT_MS)}", flush=True)


def main() -> None:
    """Make the study, serve it, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=15, help="fetches of each page that are counted")
    parser.add_argument("--no-browser", action="store_true", help="leave Chromium out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/caviar.db"
        migrations.upgrade(database)
        engine = connect(database)
        make(engine, name=STUDY, num_trials=given.trials, seed=7, now=datetime.now(UTC))
        engine.dispose()
        with serving(Path(folder)) as (origin, _):
            headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "identity"}
            with httpx2.Client(base_url=origin, headers=headers, timeout=120.0) as client:
                print(f"{given.trials:,} trials, {given.repeats} fetches each")
                show_fetches(client, given.repeats)
            if not given.no_browser:
                show_paints(origin, max(3, given.repeats // 3))


if __name__ == "__main__":
    main()
