"""What holds for every page: axe-core finds nothing, it fits a phone, and its JSON twin is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.chromium import SETTLED
from tests.browser.conftest import TOKEN, Opened
from tests.browser.views import STUDY, VIEWS, make_up

pytestmark = pytest.mark.browser

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE: dict[str, Any] = {"viewport": {"width": 1400, "height": 1000}}
# Pages without a twin: forms, and what is there before signing in.
WITHOUT_TWIN = {"sign in", "lost"}
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
# The rules on colours alone.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
# A phone has other places, and the dark other colours; neither depends on the other.
SCREENS: dict[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "wide and light": ({**WIDE, "color_scheme": "light"}, RULES),
    "wide and dark": ({**WIDE, "color_scheme": "dark"}, COLOURS),
    "phone and light": ({**PHONE, "color_scheme": "light"}, RULES),
}


@pytest.fixture(scope="module")
def http(origin: str) -> Iterator[httpx2.Client]:
    """A client of the service, on whose database the made-up studies are."""
    with httpx2.Client(base_url=origin, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


@pytest.fixture(scope="module")
def paths(http: httpx2.Client, database: str) -> dict[str, str]:
    """Address of every page."""
    webhooks = make_up(database)
    board = f"/api/v1/studies/{STUDY}/leaderboard"
    best, failed = (http.get(board, params=query).json()["items"][0]["trial_id"] for query in ({}, {"state": "failed"}))
    return {name: path.format(best=best, failed=failed, **webhooks) for name, path in VIEWS.items()}


def settled(page: Page, path: str) -> None:
    """Open a page and wait until all of it is there."""
    page.goto(path)
    page.wait_for_function(SETTLED)


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing(open_page: Opened, paths: dict[str, str], screen: str) -> None:
    options, rules = SCREENS[screen]
    page, watch = open_page(reduced_motion="reduce", **options)
    watch.expected.append("404")
    found = {}
    for name, path in paths.items():
        settled(page, path)
        results = Axe().run(page, options=rules)
        if results.violations_count:
            found[name] = [
                (
                    violation["id"],
                    [node["target"] for node in violation["nodes"]][:5],
                    violation["nodes"][0]["failureSummary"],
                )
                for violation in results.response["violations"]
            ]
    assert found == {}


def test_axe_would_find_something(open_page: Opened) -> None:
    page, _ = open_page()
    page.goto("/")
    page.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<img src=\"data:,\"><input>')")
    found = {violation["id"] for violation in Axe().run(page, options=RULES).response["violations"]}
    assert {"image-alt", "label"} <= found


def test_every_page_fits_a_phone(open_page: Opened, paths: dict[str, str]) -> None:
    page, watch = open_page(**PHONE)
    watch.expected.append("404")
    widths = {}
    for name, path in paths.items():
        settled(page, path)
        widths[name] = page.evaluate("document.documentElement.scrollWidth")
    assert {name: width for name, width in widths.items() if width > 390} == {}


def test_every_page_is_there_without_script(open_page: Opened, paths: dict[str, str]) -> None:
    page, watch = open_page(java_script_enabled=False)
    watch.expected.append("404")
    for name, path in paths.items():
        page.goto(path)
        assert page.locator("h1").count() == 1, name
        assert page.locator("main").inner_text().strip(), name


def test_every_page_names_its_twin(open_page: Opened, paths: dict[str, str], http: httpx2.Client) -> None:
    page, watch = open_page(java_script_enabled=False)
    watch.expected.append("404")
    for name, path in paths.items():
        page.goto(path)
        twins = page.locator("link[rel=alternate], a[rel=alternate]").all()
        assert bool(twins) is (name not in WITHOUT_TWIN), name
        for twin in twins:
            answer = http.get(twin.get_attribute("href") or "")
            assert answer.status_code == httpx2.codes.OK, (name, answer.text)
            assert "json" in answer.headers["content-type"], name


def test_every_page_keeps_the_strict_policy(paths: dict[str, str], http: httpx2.Client) -> None:
    for name, path in paths.items():
        answer = http.get(path, headers={"Accept": "text/html"})
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["script-src"] == "'self'", name
        assert policy["style-src"] == "'self'", name
        assert "unsafe" not in answer.headers["content-security-policy"], name
        assert "<script>" not in answer.text, name
        assert " style=" not in answer.text, name
