"""The form of a new study in a browser: a preview while one types, rows at once, errors at their inputs."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opened
from tests.service.web.trials import ScriptedWorker

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def opened(open_page: Opened, **context: object) -> Page:
    page, _ = open_page(**context)
    page.goto("/new")
    return page


def test_a_study_is_made_by_keyboard_alone(open_page: Opened, study: str, worker: ScriptedWorker) -> None:
    page = opened(open_page)
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(study)
    expect(page.locator("#words-YAML pre")).to_contain_text(f"name: {study}")
    page.get_by_label("Trials", exact=True).focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator(".cost")).to_contain_text("210")
    expect(page).to_have_url(re.compile(r"/new$"))
    page.get_by_role("radio", name="random").first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Create study").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/studies/{study}$"))
    stored = worker.http.get(f"/api/v1/studies/{study}").json()
    assert stored["strategy"] == {"kind": "random"}
    assert stored["budget"]["max_trials"] == 7


def test_the_preview_changes_with_the_scale(open_page: Opened) -> None:
    page = opened(open_page)
    picture = page.locator("#picture-beta_1")
    page.get_by_label("Low").nth(3).fill("0.9")
    expect(picture).to_contain_text("half of the draws lie above 0.99")
    page.get_by_label("Scale").nth(3).select_option("linear")
    expect(picture).to_contain_text("linear scale: half of the draws lie above 0.95")
    expect(picture.locator(".ticks")).to_contain_text("0.96")
    expect(page.locator(".advice")).to_contain_text("the 1−β scale looks closer near 1")
    page.get_by_role("button", name="Use 1−β").click()
    expect(picture).to_contain_text("1−β scale")
    expect(page.get_by_label("Scale").nth(3)).to_have_value("reverse_log")
    expect(page.locator(".advice")).to_have_count(0)


def test_an_error_is_told_at_its_input_once_it_is_left(open_page: Opened) -> None:
    page = opened(open_page)
    low = page.get_by_label("Low").nth(2)
    expect(low).to_have_value("0.5")
    low.fill("2")
    expect(page.locator("#problems")).to_contain_text("1 thing to fix")
    expect(low).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator(".drawn.stale")).to_be_visible()
    low.blur()
    expect(low).to_have_attribute("aria-invalid", "true")
    expect(low).to_have_accessible_description(re.compile("expected a number below high"))
    page.get_by_label("Name", exact=True).focus()
    page.locator("#problems a").click()
    expect(low).to_be_focused()
    low.fill("0.5")
    expect(low).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#problems")).to_have_count(0)
    expect(page.locator(".drawn.stale")).to_have_count(0)


def test_an_error_within_a_closed_part_opens_it(open_page: Opened) -> None:
    page = opened(open_page)
    page.get_by_text("More: seed").click()
    page.get_by_label("Seed", exact=True).fill("x")
    page.get_by_text("More: seed").click()
    page.locator("#problems a").click()
    expect(page.get_by_label("Seed", exact=True)).to_be_focused()


def test_parameters_come_and_go(open_page: Opened, study: str, worker: ScriptedWorker) -> None:
    page = opened(open_page)
    page.get_by_label("Name", exact=True).fill(study)
    page.get_by_role("button", name="+ Add parameter").click()
    fresh = page.get_by_role("group", name="Parameter").last
    expect(fresh.get_by_label("Name of the parameter")).to_be_focused()
    page.keyboard.type("l2")
    fresh.get_by_label("Low").fill("1e-6")
    fresh.get_by_label("High").fill("0.1")
    expect(page.locator("#picture-l2")).to_be_visible()
    expect(page.locator(".advice").first).to_contain_text("l2")
    page.get_by_role("button", name="Use log").click()
    fresh.get_by_role("button", name=re.compile("up")).click()
    page.get_by_role("button", name="Remove momentum").click()
    expect(page.locator("#picture-momentum")).to_have_count(0)
    page.get_by_role("button", name="Create study").click()
    expect(page).to_have_url(re.compile(rf"/studies/{study}$"))
    space = worker.http.get(f"/api/v1/studies/{study}").json()["space"]
    assert list(space)[-2:] == ["l2", "dropout"]
    assert "momentum" not in space
    assert space["l2"]["scale"] == "log"


def test_the_inputs_follow_the_type_and_the_kind(open_page: Opened) -> None:
    page = opened(open_page)
    row = page.get_by_role("group", name="Parameter dropout")
    expect(row.get_by_label("Choices")).to_be_hidden()
    row.get_by_label("Type").select_option("categorical")
    expect(row.get_by_label("Choices")).to_be_visible()
    expect(row.get_by_label("Low")).to_be_hidden()
    row.get_by_label("Choices").fill("0, 0.1, 0.2")
    expect(page.locator("#picture-dropout .bars li")).to_have_count(3)
    expect(page.get_by_text("Options of tpe")).to_be_hidden()
    page.get_by_role("radio", name="tpe").check()
    expect(page.get_by_text("Options of tpe")).to_be_visible()


def test_another_objective_brings_its_space(open_page: Opened, worker: ScriptedWorker) -> None:
    space = {"width": {"type": "int", "low": 1, "high": 9}}
    offer = {"name": "Circles", "space": space}
    worker.post("/workers", {"name": "box-9", "host": "box", "slots": 1, "objectives": [offer]})
    page = opened(open_page)
    page.get_by_label("Objective").select_option("Circles")
    expect(page.locator("#picture-width")).to_be_visible()
    expect(page.get_by_role("group", name="Parameter width")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("circles")
    expect(page.locator(".ready")).to_contain_text("can train it now")


def test_the_study_can_be_copied(open_page: Opened) -> None:
    page = opened(open_page, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_text("Python", exact=True).click()
    page.locator("#words-Python").get_by_role("button", name="Copy").click()
    expect(page.locator("#words-Python").get_by_role("button", name="Copied")).to_be_visible()
    assert "client.create_study(" in page.evaluate("navigator.clipboard.readText()")


def test_it_works_without_script(open_page: Opened, study: str) -> None:
    page = opened(open_page, java_script_enabled=False)
    page.get_by_label("Name", exact=True).fill(study)
    page.get_by_role("button", name="+ Add parameter").click()
    fresh = page.locator("#row-space\\.9")
    fresh.get_by_label("Name of the parameter").fill("l2")
    fresh.get_by_label("Type").select_option("categorical")
    fresh.get_by_label("Choices").fill("0, 0.01")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#picture-l2")).to_contain_text("0.01")
    page.get_by_role("button", name="Create study").click()
    expect(page).to_have_url(re.compile(rf"/studies/{study}$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(open_page: Opened, scheme: str) -> None:
    page = opened(open_page, color_scheme=scheme, **PHONE)
    for part in page.locator("details > summary").all():
        if part.is_visible():
            part.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in page.get_by_role("button", name="Create study").all():
        expect(button).to_be_visible()
    page.evaluate("scrollTo(0, 3000)")
    expect(page.get_by_role("button", name="Create study").first).to_be_in_viewport()


def test_nothing_typed_is_lost_while_the_service_is_away(open_page: Opened) -> None:
    page, watch = open_page()
    watch.expected.append("ERR_FAILED")
    page.goto("/new")
    page.route("**/new/preview", lambda route: route.abort())
    page.get_by_label("Trials", exact=True).fill("9")
    expect(page.locator("#preview-note")).to_contain_text("does not answer")
    page.unroute("**/new/preview")
    page.get_by_label("Trials", exact=True).fill("8")
    expect(page.locator(".cost")).to_contain_text("240")
    expect(page.locator("#preview-note")).to_have_count(0)


def test_a_refused_study_leads_to_what_is_wrong(open_page: Opened) -> None:
    page, watch = open_page()
    watch.expected.append("422")
    page.goto("/new")
    page.get_by_label("Name", exact=True).fill("No Slug")
    page.get_by_role("button", name="Create study").click()
    expect(page.locator("#problems")).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("No Slug")
    expect(page.get_by_label("Name", exact=True)).to_have_accessible_description(re.compile("expected a slug"))
    page.get_by_label("Name", exact=True).fill("a-slug")
    expect(page.locator("#problems")).to_have_count(0)
    expect(page.get_by_label("Name", exact=True)).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_has_no_accessibility_violations(open_page: Opened, scheme: str) -> None:
    page = opened(open_page, color_scheme=scheme, reduced_motion="reduce")
    for part in page.locator("details:not([name]) > summary").all():
        if part.is_visible():
            part.click()
    page.get_by_label("Low").nth(2).fill("2")
    page.get_by_label("Low").nth(2).blur()
    expect(page.get_by_label("Low").nth(2)).to_have_attribute("aria-invalid", "true")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["target"]) for one in found] == []
