"""A trial's page in Chromium: what is done with a trial, by mouse and by keyboard, on a phone and in the dark."""

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
PARAMS = {"learning_rate": 0.01, "beta_1": 0.99, "units": 64, "optimizer": "adam"}


@pytest.fixture
def trials(worker: ScriptedWorker, study: str) -> list[dict[str, Any]]:
    """A complete trial with a log, and one in training, of a live study."""
    worker.submit(study)
    for units in (64, 32):
        worker.post(f"/studies/{study}/trials", {"params": PARAMS | {"units": units}})
    complete, running = worker.claim(2)
    worker.report(complete, 0.9, 0.5, 0.6)
    log = "\n".join(f"line {number}" for number in range(200))
    body = {"lease": complete["lease"], "outcome": "complete", "log_tail": log}
    worker.post(f"/trials/{complete['trial_id']}:finish", body)
    worker.report(running, 0.7)
    return [complete, running]


def go(page: Page, trial: dict[str, Any]) -> None:
    page.goto(f"/trials/{trial['trial_id']}")


def test_a_clone_with_an_error_says_so_at_the_field(open_page: Opened, trials: list[dict[str, Any]]) -> None:
    page, watch = open_page()
    watch.expected.append("422")
    go(page, trials[0])
    page.get_by_role("link", name="Clone with edits").click()
    rate = page.get_by_label("learning_rate")
    expect(rate).to_have_value("0.01")
    rate.fill("40")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("do not fit the search space")
    expect(rate).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#param-learning_rate-problem")).to_contain_text("expected a number in [0.0001, 1.0]")
    expect(rate).to_have_value("40")
    rate.fill("0.02")
    page.get_by_label("optimizer").select_option("sgd")
    page.get_by_label("beta_1").fill("")
    page.get_by_role("button", name="Enqueue").click()
    expect(page.get_by_role("status").filter(has_text="new trial")).to_be_visible()
    expect(page.locator("h1")).to_have_text("Trial 2")
    expect(page.locator(".params")).to_contain_text("0.02")


def test_a_trial_runs_again_and_stops_after_a_question(open_page: Opened, trials: list[dict[str, Any]]) -> None:
    page, _ = open_page()
    go(page, trials[0])
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text("to run once more, from its first epoch")).to_be_visible()
    expect(page.locator(".summary")).to_contain_text("waiting")
    page.locator("#stop summary").press("Enter")
    page.get_by_role("button", name="Stop trial 0").click()
    expect(page.get_by_text("The trial is stopped.")).to_be_visible()
    expect(page.locator("#stop")).to_have_count(0)
    page.get_by_role("button", name="Run it again").click()
    expect(page.locator(".summary")).to_contain_text("waiting")


def test_the_configuration_is_copied_in_the_chosen_language(open_page: Opened, trials: list[dict[str, Any]]) -> None:
    page, _ = open_page(permissions=["clipboard-read", "clipboard-write"])
    go(page, trials[0])
    expect(page.locator(".text:visible")).to_have_count(1)
    page.locator("label", has_text="JSON").click()
    expect(page.locator(".text-2")).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert '"learning_rate": 0.01' in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("radio", name="JSON").press("ArrowLeft")
    expect(page.locator(".text-1")).to_be_visible()


def test_tags_and_note_are_kept(open_page: Opened, trials: list[dict[str, Any]]) -> None:
    page, _ = open_page()
    go(page, trials[0])
    page.get_by_role("textbox", name="Tags").fill("keep\nwhy: it is good")
    page.get_by_role("textbox", name="Note").fill("Look again.")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Tags and note are kept.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Tags")).to_have_value(re.compile("keep\nwhy: it is good"))
    expect(page.get_by_role("textbox", name="Note")).to_have_value("Look again.")


def test_what_is_typed_stays_while_the_page_lives(
    open_page: Opened, worker: ScriptedWorker, trials: list[dict[str, Any]]
) -> None:
    page, _ = open_page()
    go(page, trials[1])
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.get_by_role("textbox", name="Note").fill("half a sen")
    page.locator("label", has_text="YAML").click()
    worker.report(trials[1], 0.4, first=2)
    expect(page.locator(".summary .lead .figure")).to_have_text("0.4")
    expect(page.locator("#attempts")).to_contain_text("epochs 1–2")
    expect(page.get_by_role("textbox", name="Note")).to_have_value("half a sen")
    expect(page.locator(".text-1")).to_be_visible()


def test_a_log_shows_its_newest_line(open_page: Opened, trials: list[dict[str, Any]]) -> None:
    page, _ = open_page()
    go(page, trials[0])
    log = page.locator(".log")
    log.scroll_into_view_if_needed()
    page.wait_for_function("log => log.scrollTop + log.clientHeight >= log.scrollHeight - 2", arg=log.element_handle())
    assert log.evaluate("log => log.scrollTop") > 0


def test_the_arrows_lead_to_the_trials_beside(open_page: Opened, trials: list[dict[str, Any]]) -> None:
    page, _ = open_page(java_script_enabled=False)
    go(page, trials[0])
    page.get_by_role("link", name="Trial after: trial 1").click()
    expect(page.locator("h1")).to_have_text("Trial 1")
    page.get_by_role("link", name="Next better: trial 0").click()
    expect(page.locator("h1")).to_contain_text("Trial 0")
    expect(page.locator(".text:visible")).to_have_count(1)


def test_the_pages_are_accessible_and_fit_a_phone(open_page: Opened, trials: list[dict[str, Any]]) -> None:
    first, second = (f"/trials/{trial['trial_id']}" for trial in trials)
    for scheme in ("light", "dark"):
        page, _ = open_page(color_scheme=scheme, reduced_motion="reduce", **PHONE)
        for path in (first, second, f"{first}/clone", "/workers"):
            page.goto(path)
            page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            found = Axe().run(page).response["violations"]
            assert [violation["id"] for violation in found] == [], path
