"""The list of studies under the hand: searching, sorting, comparing, and what can be done with a study."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opened
from tests.service.web.trials import ScriptedWorker

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def names(worker: ScriptedWorker) -> list[str]:
    """Three studies of the test's own: the first has the best value, the third has none."""
    stem = f"{worker.objective.lower()}x"
    found = [f"{stem}-{letter}" for letter in "abc"]
    for name, values in zip(found, ((0.9, 0.2), (0.8, 0.4, 0.3), ()), strict=True):
        worker.submit(name, tags={"of": stem})
        if values:
            [trial] = worker.claim()
            worker.report(trial, *values)
            worker.finish(trial)
        worker.post(f"/studies/{name}:pause", {})
    worker.post(f"/studies/{found[0]}:resume", {})
    return found


def shown(page: Page) -> list[str]:
    ids: list[str] = page.locator(".studies tbody tr").evaluate_all("rows => rows.map((row) => row.id.slice(6))")
    return ids


def find(page: Page, names: list[str]) -> None:
    """Search for the studies of this test by their tag."""
    page.goto("/")
    page.get_by_label("Name, objective or tag").fill(f"of={names[0][:-2]}")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=**")
    expect(page.locator(".studies tbody tr")).to_have_count(3)


@pytest.mark.parametrize("has_script", [True, False])
def test_searching_sorting_and_filtering(open_page: Opened, names: list[str], has_script: bool) -> None:
    page, _ = open_page(java_script_enabled=has_script)
    first, second, third = names
    page.goto("/")
    page.get_by_label("Name, objective or tag").fill(f"of={first[:-2]}")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".studies tbody tr").first).to_have_id(f"study-{third}")
    page.get_by_role("link", name="Best value").click()
    expect(page.get_by_role("columnheader", name="Best value", exact=True)).to_have_attribute("aria-sort", "descending")
    assert [row.get_attribute("id") for row in page.locator(".studies tbody tr").all()] == [
        f"study-{name}" for name in (second, first, third)
    ]
    page.get_by_role("link", name="Best value").click()
    expect(page.locator(".studies tbody tr").first).to_have_id(f"study-{first}")
    page.get_by_role("link", name=re.compile("^paused")).click()
    expect(page.locator(".studies tbody tr")).to_have_count(2)
    expect(page.locator(".studies tbody tr").first).to_have_id(f"study-{second}")


def test_the_list_is_live_and_keeps_what_was_checked(
    open_page: Opened, names: list[str], worker: ScriptedWorker
) -> None:
    page, _ = open_page()
    find(page, names)
    page.get_by_role("checkbox", name=f"Compare {names[0]}").check()
    page.get_by_role("button", name=f"Actions on {names[0]}").click()
    deeds = page.locator(f'[id="do-{names[0]}"]')
    expect(deeds).to_be_visible()
    [trial] = worker.claim()
    worker.report(trial, 0.125)
    expect(page.locator(f'[id="study-{names[0]}"] .value b')).to_have_text("0.125")
    expect(page.get_by_role("checkbox", name=f"Compare {names[0]}")).to_be_checked()
    expect(deeds).to_be_visible()
    page.keyboard.press("Escape")
    expect(deeds).to_be_hidden()


@pytest.mark.parametrize("has_script", [True, False])
def test_a_pause_from_the_list_is_undone_there(open_page: Opened, names: list[str], has_script: bool) -> None:
    page, _ = open_page(java_script_enabled=has_script)
    find(page, names)
    row = page.locator(f'[id="study-{names[0]}"]')
    page.get_by_role("button", name=f"Actions on {names[0]}").click()
    page.locator(f'[id="do-{names[0]}"]').get_by_role("button", name="Pause").click()
    expect(page.locator(".notice")).to_contain_text(f"{names[0]} is paused")
    expect(row.locator(".chip")).to_have_text("paused")
    expect(page.locator(".studies tbody tr")).to_have_count(3)
    page.get_by_role("button", name=re.compile("^Undo")).click()
    expect(page.locator(".notice")).to_contain_text("hands out trials again")
    expect(row.locator(".chip")).to_have_text("running")


def test_a_pause_from_a_view_of_the_study_leads_back_to_it(open_page: Opened, names: list[str]) -> None:
    page, _ = open_page()
    page.goto(f"/studies/{names[0]}/setup")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_url("**/setup?done=paused")
    page.get_by_role("button", name=re.compile("^Undo")).click()
    page.wait_for_url("**/setup?done=resumed")


def test_cloning_leads_to_the_new_study(open_page: Opened, names: list[str]) -> None:
    page, watch = open_page()
    watch.expected.append("422")
    page.goto(f"/studies/{names[1]}")
    page.locator("#study-menu > summary").click()
    page.get_by_role("link", name="Clone…", exact=True).click()
    field = page.get_by_label("Name of the new study")
    expect(field).to_have_value(f"{names[1]}-2")
    field.fill("No Slug")
    page.get_by_role("button", name="Clone and start").click()
    expect(page.get_by_role("alert")).to_contain_text("a slug")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill(f"{names[1]}-again")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{names[1]}-again?done=cloned")
    expect(page.locator(".notice")).to_contain_text("starts afresh")


def test_deleting_by_the_keyboard(open_page: Opened, names: list[str]) -> None:
    page, watch = open_page()
    watch.expected.append("422")
    find(page, names)
    page.get_by_role("button", name=f"Actions on {names[2]}").focus()
    page.keyboard.press("Enter")
    for _ in range(6):
        page.keyboard.press("Tab")
    expect(page.locator(f'[id="do-{names[2]}"]').get_by_role("link", name="Stop…")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/delete")
    expect(page.get_by_label(re.compile("to confirm"))).to_be_focused()
    page.keyboard.type(names[1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(f"expected '{names[2]}'")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Delete the study")).to_be_focused()
    page.get_by_label(re.compile("to confirm")).fill(names[2])
    page.keyboard.press("Enter")
    page.wait_for_url("**/?done=deleted")
    expect(page.locator(".notice")).to_have_text("The study is deleted, with all its trials.")
    expect(page.locator(f'[id="study-{names[2]}"]')).to_have_count(0)


@pytest.mark.parametrize("has_script", [True, False])
def test_checked_studies_are_compared(open_page: Opened, names: list[str], has_script: bool) -> None:
    page, _ = open_page(java_script_enabled=has_script)
    find(page, names)
    for name in names[:2]:
        page.get_by_role("checkbox", name=f"Compare {name}").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("h1")).to_have_text("2 studies side by side")
    expect(page.locator(".overlay")).to_have_count(2)
    expect(page.locator(".overlay").first.get_by_role("img", name=f"{names[0]}: best val_loss 0.2")).to_have_count(1)
    page.get_by_role("link", name="by time").click()
    page.wait_for_url("**axis=time")
    expect(page.get_by_text("since it was created")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_a_phone(open_page: Opened, names: list[str], scheme: str) -> None:
    page, _ = open_page(**PHONE, color_scheme=scheme)
    first, second, _third = names
    actions = [f"/studies/{first}/{action}" for action in ("stop", "clone", "delete", "edit")]
    for path in ("/", f"/?q={first[:30]}", f"/compare?study={first}&study={second}", *actions):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    page.goto(f"/?q=of%3D{first[:-2]}")
    page.get_by_label("Sort by").select_option("best")
    page.get_by_label("Order").select_option("asc")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".studies tbody tr").first).to_have_id(f"study-{first}")
    page.get_by_role("button", name=f"Actions on {first}").click()
    box = page.locator(f'[id="do-{first}"]').bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
