"""The leaderboard under a reader's hands: sorting, filtering, columns, pins, comparing, keys, files, on a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opened
from tests.service.web.trials import ScriptedWorker

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PARAMS = {"learning_rate": 0.01, "units": 64, "optimizer": "sgd"}
VALUES = ((0.4, 0.001), (0.2, 0.01), (0.3, 0.1), (0.5, 0.5))


@pytest.fixture
def board(worker: ScriptedWorker, study: str) -> str:
    """A study of four complete trials: number 1 is best, then 2, 0 and 3."""
    worker.submit(study, budget={"max_trials": 40, "max_epochs": 8})
    for value, rate in VALUES:
        train(worker, study, value, learning_rate=rate)
    return study


def train(worker: ScriptedWorker, study: str, value: float, **params: Any) -> dict[str, Any]:
    """Have a configuration trained to its end."""
    worker.post(f"/studies/{study}/trials", {"params": PARAMS | params})
    [trial] = worker.claim()
    worker.report(trial, value + 0.25, value)
    worker.finish(trial)
    return trial


def visit(page: Page, study: str, query: str = "") -> None:
    page.goto(f"/studies/{study}{query}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def order(page: Page) -> list[int]:
    found: list[int] = page.locator(".board .pick input").evaluate_all("boxes => boxes.map(box => Number(box.value))")
    return found


def test_a_header_sorts(open_page: Opened, board: str) -> None:
    page, _ = open_page()
    visit(page, board)
    assert order(page) == [1, 2, 0, 3]
    header = page.get_by_role("columnheader", name=re.compile("^learning_rate"))
    header.get_by_role("link").click()
    page.wait_for_url("**?sort=learning_rate#leaderboard")
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert order(page) == [0, 1, 2, 3]
    header.get_by_role("link").click()
    page.wait_for_url("**?sort=-learning_rate#leaderboard")
    assert order(page) == [3, 2, 1, 0]


def test_filters_and_columns_are_chosen_in_menus_and_kept_in_the_address(open_page: Opened, board: str) -> None:
    page, _ = open_page()
    visit(page, board)
    page.locator("#board-filter > summary").click()
    page.get_by_role("textbox", name="learning_rate").fill("0.005..")
    page.get_by_role("checkbox", name="complete").check()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**?state=complete&where=learning_rate:0.005..#leaderboard")
    assert order(page) == [1, 2, 3]
    page.locator("#board-columns > summary").click()
    page.get_by_role("group", name="Columns").get_by_label("units").uncheck()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile(r"where=learning_rate:0.005..&columns=rank,trial,val"))
    expect(page.get_by_role("columnheader", name=re.compile("^units"))).to_have_count(0)
    page.get_by_role("link", name="Lift the filter learning_rate ≥ 0.005").click()
    expect(page.locator(".board tbody tr")).to_have_count(4)
    assert "columns=" in page.url


def test_a_view_stays_live(open_page: Opened, board: str, worker: ScriptedWorker) -> None:
    page, _ = open_page()
    visit(page, board, "?where=value:..0.35&sort=-learning_rate&pin=0")
    assert order(page) == [0, 2, 1]
    train(worker, board, 0.45, learning_rate=0.2)
    new = train(worker, board, 0.1, learning_rate=0.05)
    row = page.locator(f"#trial-{new['trial_id']}")
    expect(row).to_have_class(re.compile("best"))
    assert order(page) == [0, 2, 5, 1], "in its place, and without the one that does not match"
    expect(page.locator("#board-count")).to_contain_text("3 of 6 trials")


def test_rows_are_pinned_and_let_go(open_page: Opened, board: str) -> None:
    page, _ = open_page()
    visit(page, board)
    page.get_by_role("link", name="Pin trial 3").click()
    page.wait_for_url("**?pin=3#leaderboard")
    assert order(page) == [3, 1, 2, 0]
    page.get_by_role("link", name="Unpin trial 3").click()
    page.wait_for_url(re.compile(f"/studies/{board}#leaderboard$"))
    assert order(page) == [1, 2, 0, 3]


def test_ticked_trials_are_compared(open_page: Opened, board: str, worker: ScriptedWorker) -> None:
    page, _ = open_page()
    visit(page, board)
    page.get_by_label("Compare trial 1").check()
    page.get_by_label("Compare trial 2").check()
    expect(page.get_by_role("button", name="Compare 2")).to_be_visible()
    # What is ticked stays so while rows come.
    train(worker, board, 0.1, learning_rate=0.05)
    expect(page.locator(".board tbody tr")).to_have_count(5)
    page.get_by_role("button", name="Compare 2").click()
    page.wait_for_url("**/compare?trial=1&trial=2")
    expect(page.locator("#compared-title")).to_have_text("2 trials side by side")
    expect(page.locator(".sides .differs")).to_have_count(1)
    expect(page.locator("#curves .line")).to_have_count(2)
    page.get_by_role("link", name="Trial 2", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Trial 2")


def test_the_keyboard_does_it_all(open_page: Opened, board: str) -> None:
    page, _ = open_page()
    visit(page, board)
    press = page.keyboard.press
    press("j")
    expect(page.get_by_role("link", name="Trial 1, the best")).to_be_focused()
    press("x")
    press("j")
    press("ArrowDown")
    expect(page.get_by_role("link", name="Trial 0", exact=True)).to_be_focused()
    press("k")
    press("x")
    expect(page.get_by_role("button", name="Compare 2")).to_be_visible()
    press("p")
    page.wait_for_url("**?pin=2#leaderboard")
    expect(page.get_by_role("link", name="Trial 2", exact=True)).to_be_focused()
    press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("jx?")
    expect(page.get_by_role("searchbox")).to_have_value("jx?")
    page.get_by_role("searchbox").fill("")
    page.get_by_role("searchbox").blur()
    press("?")
    expect(page.get_by_role("dialog", name="Keys of the leaderboard")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    press("j")
    press("Enter")
    expect(page.locator("h1")).to_contain_text("Trial 2")


def test_the_view_is_saved_as_a_table(open_page: Opened, board: str, tmp_path: Path) -> None:
    page, _ = open_page()
    visit(page, board, "?sort=learning_rate&where=value:..0.35&columns=trial,learning_rate")
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV", exact=True).click()
    assert started.value.suggested_filename == f"{board}-leaderboard.csv"
    started.value.save_as(tmp_path / "view.csv")
    assert (tmp_path / "view.csv").read_text().splitlines() == ["trial,params.learning_rate", "1,0.01", "2,0.1"]


def test_the_best_are_trained_again(open_page: Opened, board: str) -> None:
    page, _ = open_page()
    visit(page, board)
    page.get_by_text("Train the best again").click()
    page.get_by_label("How many of the best").fill("2")
    page.get_by_label("Further trials of each").fill("1")
    page.get_by_role("button", name="Enqueue").click()
    expect(page.locator(".board tbody tr")).to_have_count(6)
    expect(page.locator(".board tbody tr.waiting")).to_have_count(2)


def test_all_of_it_works_without_script(open_page: Opened, board: str) -> None:
    page, _ = open_page(java_script_enabled=False)
    page.goto(f"/studies/{board}")
    page.locator("#board-filter > summary").click()
    page.get_by_role("textbox", name="learning_rate").fill("0.005..")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**?where=learning_rate:0.005..#leaderboard")
    page.get_by_label("Compare trial 1").check()
    page.get_by_label("Compare trial 3").check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare?trial=1&trial=3")


def test_on_a_phone_everything_is_in_reach(open_page: Opened, board: str) -> None:
    page, _ = open_page(**PHONE)
    visit(page, board, "?pin=3")
    for menu in ("filter", "columns", "retest"):
        page.locator(f"#board-{menu} > summary").click()
        box = page.locator(f"#board-{menu} > .sheet").bounding_box()
        assert box is not None
        assert box["x"] >= 0, menu
        assert box["x"] + box["width"] <= 390, menu
        page.keyboard.press("Escape")
        expect(page.locator(f"#board-{menu} > .sheet")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Compare trial 3").check()
    page.get_by_label("Compare trial 1").check()
    page.get_by_role("button", name="Compare 2").click()
    page.wait_for_url("**/compare?trial=3&trial=1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
