"""The analysis page under the hand: ranges drawn on axes, the table that follows, the address, slices, pairs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opened
from tests.service.web.trials import ScriptedWorker

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
NUM_TRIALS = 40


@pytest.fixture
def path(worker: ScriptedWorker, study: str) -> str:
    """Address of the analysis of forty trials, the best of which has number 20."""
    worker.submit(study)
    items = []
    for at in range(NUM_TRIALS):
        params: dict[str, Any] = {"learning_rate": 10 ** (-4 + 4 * (at + 0.5) / NUM_TRIALS), "units": 16 + at}
        params |= {"optimizer": "adam", "beta_1": 0.95 + at / 1000} if at % 4 == 0 else {"optimizer": "sgd"}
        items.append({"params": params, "value": 0.2 + abs(at - 20) / 20})
    worker.post(f"/studies/{study}/trials:import", {"items": items})
    return f"/studies/{study}/analysis"


def count(page: Page, num: int) -> None:
    expect(page.locator("#selection-words b").first).to_have_text(str(num))


def drawn(page: Page) -> None:
    expect(page.locator("#picture svg .axis").first).to_be_visible()


def drag(page: Page, axis: int, start: float, end: float) -> None:
    """Draw a range on an axis, from one share of its height (from above) to another."""
    box = page.locator("#picture .hit").nth(axis).bounding_box()
    assert box
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 8 + (box["height"] - 16) * start)
    page.mouse.down()
    page.mouse.move(x, box["y"] + 8 + (box["height"] - 16) * (start + end) / 2)
    page.mouse.move(x, box["y"] + 8 + (box["height"] - 16) * end)
    page.mouse.up()


def test_a_range_drawn_on_an_axis_narrows_the_table_and_stays_in_the_address(open_page: Opened, path: str) -> None:
    page, _ = open_page()
    page.goto(path)
    drawn(page)
    count(page, NUM_TRIALS)
    drag(page, 0, 0.5, 0.75)
    count(page, 10)
    numbers = page.locator("#selection tbody th a").all_text_contents()
    assert sorted(int(text[1:]) for text in numbers) == list(range(10, 20))
    expect(page).to_have_url(re.compile(r"where=learning_rate:[0-9.e-]+\.\.0\.01$"))
    link = page.locator("#board-link").get_attribute("href")
    assert link
    assert link.split("?")[1] == page.url.split("?")[1]
    page.reload()
    drawn(page)
    count(page, 10)
    page.get_by_role("link", name="Clear", exact=True).click()
    count(page, NUM_TRIALS)
    expect(page).to_have_url(re.compile(r"/analysis$"))


def test_choices_are_marked_by_a_click_and_freed_by_another(open_page: Opened, path: str) -> None:
    page, _ = open_page()
    page.goto(path)
    drawn(page)
    hit = page.locator("#picture .hit").nth(3)
    box = hit.bounding_box()
    assert box
    at = {"x": box["width"] / 2, "y": box["height"] * 0.25}
    hit.click(position=at)  # type: ignore[arg-type]  # a dict of two floats is what it takes
    count(page, 10)
    expect(page).to_have_url(re.compile("where=optimizer:adam$"))
    hit.click(position=at)  # type: ignore[arg-type]  # as above
    count(page, NUM_TRIALS)


def test_everything_works_by_key(open_page: Opened, path: str) -> None:
    page, _ = open_page()
    page.goto(path)
    drawn(page)
    page.locator("#top").focus()
    page.keyboard.press("Home")
    expect(page.locator("#top-words")).to_have_text("1\u202f%")
    count(page, 1)
    expect(page.locator("#selection tbody th a")).to_have_text("#20")
    page.keyboard.press("End")
    count(page, NUM_TRIALS)
    page.locator("#ranges summary").focus()
    page.keyboard.press("Enter")
    low = page.get_by_label("Least learning_rate")
    low.focus()
    for _ in range(5):
        page.keyboard.press("PageUp")
    count(page, 20)
    expect(page.locator("fieldset[data-axis=learning_rate] [data-range]")).to_have_text("0.01 … ")


def test_a_new_trial_joins_the_table_by_itself(
    open_page: Opened, worker: ScriptedWorker, study: str, path: str
) -> None:
    page, _ = open_page()
    page.goto(f"{path}?where=optimizer:adam")
    drawn(page)
    count(page, 10)
    params = {"learning_rate": 0.5, "units": 100, "optimizer": "adam", "beta_1": 0.99}
    worker.post(f"/studies/{study}/trials:import", {"items": [{"params": params, "value": 0.1}]})
    count(page, 11)
    expect(page.locator("#selection tbody tr.best th")).to_have_text("#40")


def test_axes_can_be_chosen_and_the_choice_stays(open_page: Opened, path: str) -> None:
    page, _ = open_page()
    page.goto(path)
    drawn(page)
    names = page.locator("#picture .axis .name")
    assert names.all_text_contents() == ["learning_rate", "beta_1", "units", "optimizer", "val_loss"]
    page.locator("#axes-menu summary").click()
    page.get_by_role("button", name="None", exact=True).click()
    expect(names).to_have_count(0)
    page.locator("#axes-menu").get_by_label("units").check()
    page.locator("#axes-menu").get_by_label("val_loss").check()
    expect(names).to_have_text(["units", "val_loss"])
    expect(page).to_have_url(re.compile("axes=units%2Cvalue"))
    page.reload()
    expect(names).to_have_text(["units", "val_loss"])


def test_the_picture_is_drawn_anew_when_the_scheme_changes(open_page: Opened, path: str) -> None:
    page, _ = open_page(color_scheme="light")
    page.goto(path)
    drawn(page)
    pixels = "document.querySelector('#picture canvas').toDataURL()"
    page.wait_for_function(f"{pixels}.length > 5000")
    light = page.evaluate(pixels)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("(light) => document.querySelector('#picture canvas').toDataURL() !== light", arg=light)


def test_the_line_under_the_hand_is_named_and_leads_to_its_trial(open_page: Opened, path: str) -> None:
    page, _ = open_page()
    page.goto(f"{path}?top=1")
    drawn(page)
    count(page, 1)
    # Of a single line that is left, the end on the metric's axis is at the best value.
    name = page.locator("#picture .tip")
    box = page.locator("#picture .hit").nth(0).bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2)
    for step in range(0, 200, 4):
        if name.is_visible():
            break
        page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2 - 100 + step)
    expect(name).to_contain_text("#20, complete, 0.2")
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"/trials/\d+$"))


def test_importances_come_after_the_page_and_by_either_method(open_page: Opened, path: str) -> None:
    page, _ = open_page()
    page.goto(f"{path}/slices")
    expect(page.locator(".bars dt")).to_have_count(4)
    expect(page.locator("#bars")).to_contain_text("best tenth")
    page.get_by_role("link", name="For all trials").click()
    expect(page.locator("#bars")).to_contain_text("differences between all")
    expect(page).to_have_url(re.compile("method=fanova$"))
    page.reload()
    expect(page.locator("#bars")).to_contain_text("differences between all")


def test_a_pair_is_drawn_by_the_library_and_follows_the_choice(open_page: Opened, path: str) -> None:
    page, _ = open_page()
    page.goto(f"{path}/pairs")
    expect(page.locator("#plot .contourlayer .contourfill path").first).to_be_attached()
    page.get_by_label("Across").select_option("learning_rate")
    page.get_by_label("Up").select_option("optimizer")
    expect(page.locator("#plot .ytick text")).to_have_text(["sgd", "adam"])
    expect(page).to_have_url(re.compile(r"x=learning_rate&y=optimizer$"))
    expect(page.locator("#twin")).to_have_attribute("href", re.compile("contour.x=learning_rate&y=optimizer"))
    page.reload()
    expect(page.locator("#plot .ytick text")).to_have_text(["sgd", "adam"])


def test_the_same_parameter_twice_is_refused_in_words(open_page: Opened, path: str) -> None:
    page, watch = open_page()
    watch.expected.append("422")
    page.goto(f"{path}/pairs?x=units&y=learning_rate")
    expect(page.locator("#plot .contourlayer")).to_be_attached()
    page.get_by_label("Up").select_option("units")
    expect(page.locator("#pair-problem")).to_have_text("Choose two different parameters.")
    expect(page.locator("#landscape")).to_be_hidden()


def test_without_script_the_page_is_complete(open_page: Opened, path: str) -> None:
    page, _ = open_page(java_script_enabled=False)
    page.goto(path)
    page.locator("#ranges summary").click()
    page.get_by_label("sgd").uncheck()
    page.get_by_role("button", name="Show", exact=True).click()
    count(page, 10)
    page.goto(f"{path}/slices")
    assert page.locator(".slice .others").count() == 4
    page.get_by_role("link", name="compute it now").click()
    expect(page.locator(".bars dt")).to_have_count(4)
    page.goto(f"{path}/pairs")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".heat")).to_be_visible()


def test_a_phone_scrolls_nothing_sideways_and_nobody_is_shut_out(open_page: Opened, path: str) -> None:
    page, _ = open_page(**PHONE)
    for view, part in (("", "#picture .axis"), ("/slices", ".bars dt"), ("/pairs", "#plot .xtick")):
        page.goto(path + view)
        expect(page.locator(part).first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            # The rest of the frame is looked at by the tests of all pages.
            found = Axe().run(page, context="main")
            assert found.violations_count == 0, found.generate_report()


def test_a_study_without_trials_has_a_form_that_is_sent(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    worker.submit(study)
    page, _ = open_page()
    page.goto(f"/studies/{study}/analysis")
    expect(page.locator("#parallel .empty")).to_contain_text("No trial has a value yet")
    page.get_by_label("Hide pruned").check()
    page.locator("#apply").click()
    expect(page).to_have_url(re.compile("hide=pruned"))
