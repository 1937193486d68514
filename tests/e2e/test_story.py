"""The whole story in a browser, with a real service and a real worker: from an empty form to an export."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import page_of, running, sync_playwright
from tests.e2e.processes import TOKEN, Site, site

pytestmark = pytest.mark.browser

NAME = "from-a-form"
_TRAINING_MS = 120_000


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    """A service, and a worker with one slot."""
    with site(tmp_path, lease_ttl_s=10.0) as made:
        made.start_worker("box-1")
        yield made


@pytest.fixture
def page(here: Site) -> Iterator[Page]:
    """A signed-in browser; at the end nothing has gone wrong on its console."""
    with (
        sync_playwright() as playwright,
        running(playwright) as browser,
        page_of(browser, here.url, TOKEN, viewport={"width": 1400, "height": 1000}) as (page, watch),
    ):
        yield page
        watch.check()


def test_from_an_empty_form_to_an_export(page: Page, here: Site) -> None:
    _create(page)
    _watch_it_fill(page)
    _pause_and_undo(page)
    _compare(page)
    _brush(page)
    _clone(page)
    _export(page)
    assert {study.name for study in here.client.studies()} == {NAME, f"{NAME}-again"}


def _create(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="New study").first.click()
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("Trials", exact=True).fill("400")
    page.get_by_label("Epochs per trial", exact=True).fill("4")
    expect(page.get_by_text("1 600").first).to_be_visible()
    page.get_by_role("button", name="Create study").click()
    page.wait_for_url(f"**/studies/{NAME}")


def _watch_it_fill(page: Page) -> None:
    page.evaluate("window.isTheSamePage = true")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.locator("tr[id^=trial-]").nth(7)).to_be_visible(timeout=_TRAINING_MS)
    expect(page.locator(".line.best")).to_have_count(1)
    assert page.evaluate("window.isTheSamePage"), "it filled without a reload"


def _pause_and_undo(page: Page) -> None:
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".notice")).to_contain_text("paused")
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()


def _compare(page: Page) -> None:
    # Rows change places as trials get better; whoever wants to tick some lets the page stand still.
    page.get_by_role("button", name="Hold live updates").click()
    expect(page.locator("#live")).to_have_attribute("data-state", "held")
    boxes = page.locator("tr[id^=trial-] input[type=checkbox]")
    for nth in range(3):
        boxes.nth(nth).check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(f"**/studies/{NAME}/compare?*")
    expect(page.locator("main svg polyline, main svg path").first).to_be_visible()
    expect(page.locator(".sides .who a:not(.drop)")).to_have_count(3)


def _brush(page: Page) -> None:
    page.goto(f"/studies/{NAME}/analysis")
    page.get_by_role("slider", name="Best").fill("50")
    page.wait_for_url("**/analysis?*")


def _clone(page: Page) -> None:
    page.goto(f"/studies/{NAME}/clone")
    page.get_by_label("Name of the new study").fill(f"{NAME}-again")
    page.get_by_role("button", name="Clone and start").click()
    page.wait_for_url(f"**/studies/{NAME}-again*")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{NAME}-again")


def _export(page: Page) -> None:
    page.goto(f"/studies/{NAME}?sort=learning_rate")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).first.click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    rates = [float(row["params.learning_rate"]) for row in rows]
    assert len(rates) >= 8
    assert rates == sorted(rates), "the file holds the view as it was sorted"
