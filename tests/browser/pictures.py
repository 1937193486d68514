"""Takes the pictures of the documentation: a real study is trained here, and Chromium looks at every view.

python -m tests.browser.pictures [--trials 200] [--into docs/pictures]
python -m tests.browser.pictures --url http://127.0.0.1:8700 --study NAME --into /tmp/seen --all
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from playwright.sync_api import Browser

from caviar import Client
from tests.browser.chromium import SETTLED, page_of, running, sync_playwright
from tests.e2e.processes import TOKEN, site, until

_WIDE, _PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
_PATIENCE_S = 1800.0
_STUDY = Path(__file__).resolve().parents[2] / "examples" / "digits.yaml"
# What the documentation shows; the first one also as a phone sees it in the dark.
_SHOWN = (
    "leaderboard",
    "curves",
    "zoom-map",
    "analysis",
    "rungs",
    "timeline",
    "new-study",
    "trial",
    "workers",
    "studies",
)


def views(client: Client, study: str, other: str) -> dict[str, str]:
    """Addresses of all views of a study, by the name of their picture."""
    base = f"/studies/{study}"
    best = [row for row in client.leaderboard(study, limit=6).items if row.value is not None]
    trials = "&".join(f"trial={row.number}" for row in best[:4])
    return {
        "leaderboard": base,
        "curves": f"{base}/curves",
        "zoom-map": f"{base}/zoom",
        "analysis": f"{base}/analysis",
        "rungs": f"{base}/rungs",
        "timeline": f"{base}/timeline",
        "set-up": f"{base}/setup",
        "comparing-trials": f"{base}/compare?{trials}",
        "trial": f"/trials/{best[0].trial_id}",
        "workers": "/workers",
        "studies": "/",
        "comparing-studies": f"/compare?study={study}&study={other}",
        "new-study": f"/new?from={study}",
    }


@contextmanager
def trained(num_trials: int) -> Iterator[tuple[str, str, str, str]]:
    """A service on which two studies have been trained: its address, its token, and their names."""
    body = yaml.safe_load(_STUDY.read_text())
    other = {**body, "name": f"{body['name']}-random", "strategy": {"kind": "random"}}
    with tempfile.TemporaryDirectory() as folder, site(Path(folder), lease_ttl_s=30.0) as here:
        here.start_worker("box-1", slots=2)
        for study, count in ((body, num_trials), (other, num_trials // 3)):
            name = here.client.create_study({**study, "budget": {**study["budget"], "max_trials": count}}).name
            _wait(here.client, name)
        yield here.url, TOKEN, body["name"], other["name"]


def _wait(client: Client, name: str) -> None:
    until(lambda: client.study(name).state.is_finished, deadline_s=_PATIENCE_S, what=f"the end of {name}")


def take(browser: Browser, origin: str, token: str, paths: dict[str, str], into: Path, *, is_all: bool) -> None:
    """Open every page and keep what is seen."""
    into.mkdir(parents=True, exist_ok=True)
    for screen, viewport in (("wide", _WIDE), ("phone", _PHONE)):
        for scheme in ("light", "dark"):
            kind = f"-{screen}-{scheme}"
            names = paths if is_all else _shown(kind)
            with page_of(browser, origin, token, viewport=viewport, color_scheme=scheme) as (page, watch):
                for name in names:
                    page.goto(paths[name])
                    page.wait_for_function(SETTLED)
                    suffix = "" if not is_all and kind == "-wide-light" else kind
                    page.screenshot(path=into / f"{name}{suffix}.png")
                watch.check()


def _shown(kind: str) -> tuple[str, ...]:
    if kind == "-wide-light":
        return _SHOWN
    return _SHOWN[:1] if kind.endswith("dark") else ()


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="trials of the study that is trained")
    parser.add_argument("--into", type=Path, default=Path("docs/pictures"), help="folder for the pictures")
    parser.add_argument("--all", action="store_true", help="every view, wide and phone, light and dark")
    parser.add_argument("--url", help="a service that runs already, instead of one of our own")
    parser.add_argument("--token", default=TOKEN, help="its access token")
    parser.add_argument("--study", help="a study there")
    parser.add_argument("--other", help="another study there, to compare it with; default: the same")
    given = parser.parse_args()
    with sync_playwright() as playwright, running(playwright) as browser:
        if given.url:
            with Client(given.url, given.token) as client:
                paths = views(client, given.study, given.other or given.study)
            take(browser, given.url, given.token, paths, given.into, is_all=given.all)
            return
        with trained(given.trials) as (origin, token, study, other):
            with Client(origin, token) as client:
                paths = views(client, study, other)
            take(browser, origin, token, paths, given.into, is_all=given.all)


if __name__ == "__main__":
    main()
