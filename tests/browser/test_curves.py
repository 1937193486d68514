"""Learning curves under the hand, by keyboard, on a phone, and without script."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opened
from tests.service.web.trials import ScriptedWorker

pytestmark = pytest.mark.browser

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def trials(worker: ScriptedWorker, study: str) -> dict[str, Any]:
    """A study of a complete, a failed and a running trial, the complete one the best, and one without any epoch."""
    worker.submit(study)
    complete, failed, running, fresh = worker.claim(4)
    worker.report(complete, 0.9, 0.4, 0.2, 0.3)
    worker.finish(complete)
    worker.report(failed, 0.8, 0.75)
    worker.finish(failed, "failed", kind="OOM", message="no memory")
    worker.report(running, 0.7, 0.6)
    return {"complete": complete, "failed": failed, "running": running, "fresh": fresh}


def visit(page: Page, study: str, query: str = "") -> None:
    """Open the page of curves and wait until its scripts have begun."""
    page.goto(f"/studies/{study}/curves{query}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def place(page: Page, line: str, point: int) -> tuple[float, float]:
    """Where on the screen a point of a curve is."""
    found: list[float] = page.locator(f"{line} polyline").evaluate(
        """(line, point) => {
          line.closest(".plot").scrollIntoView({ block: "center" });
          const at = line.points.getItem(point).matrixTransform(line.getScreenCTM());
          return [at.x, at.y];
        }""",
        point,
    )
    return found[0], found[1]


def numbers(page: Page) -> list[int]:
    """Numbers of the trials that have a line which can be seen."""
    found = page.locator("#curves a.line:visible").evaluate_all("lines => lines.map(line => +line.dataset.number)")
    return sorted(found)


def test_pointing_names_the_trial_and_its_value_there(open_page: Opened, trials: dict[str, Any], study: str) -> None:
    page, _ = open_page()
    visit(page, study)
    tip = page.locator("#curves .tip")
    expect(tip).to_be_hidden()
    x, y = place(page, f"#curve-{trials['complete']['trial_id']}", 1)
    page.mouse.move(x + 2, y + 2)
    expect(tip).to_contain_text(f"Trial {trials['complete']['number']} complete, the best")
    expect(tip).to_contain_text("epoch 2: 0.4")
    expect(tip).to_contain_text("best val_loss 0.2")
    expect(page.locator("#curves .line.best")).to_have_class(re.compile("pointed"))
    x, y = place(page, f"#curve-{trials['failed']['trial_id']}", 1)
    page.mouse.move(x, y)
    expect(tip).to_contain_text(f"Trial {trials['failed']['number']} failed (error)")
    page.mouse.click(x, y)
    page.wait_for_url(f"**/trials/{trials['failed']['trial_id']}")


def test_the_keyboard_goes_from_line_to_line(open_page: Opened, trials: dict[str, Any], study: str) -> None:
    page, _ = open_page()
    visit(page, study)
    best = page.locator("#curves .line.best")
    best.focus()
    expect(page.locator("#curves .tip")).to_contain_text("the best")
    page.keyboard.press("End")
    expect(page.locator(f"#curve-{trials['running']['trial_id']}")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(f"#curve-{trials['failed']['trial_id']}")).to_be_focused()
    expect(page.locator("#curves .tip")).to_contain_text("failed (error)")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/trials/{trials['failed']['trial_id']}")


def test_groups_go_at_once_and_stay_away(open_page: Opened, trials: dict[str, Any], study: str) -> None:
    page, _ = open_page()
    visit(page, study)
    everyone = sorted(trials[name]["number"] for name in ("complete", "failed", "running"))
    assert numbers(page) == everyone
    page.evaluate("document.body.dataset.mark = 'same document'")
    toggle = page.locator(".toggle[data-group=failed]")
    toggle.click()
    expect(page.locator(f"#curve-{trials['failed']['trial_id']}")).to_be_hidden()
    expect(toggle).to_contain_text("show")
    assert page.url.endswith("?hide=failed")
    page.locator(".toggle[data-group=running]").click()
    assert page.url.endswith("?hide=running,failed")
    toggle.click()
    assert numbers(page) == sorted([trials["complete"]["number"], trials["failed"]["number"]])
    assert page.evaluate("document.body.dataset.mark") == "same document"
    page.get_by_role("link", name="log", exact=True).click()
    expect(page.locator("#curves .chart")).to_have_attribute("data-scale", "log")
    assert numbers(page) == sorted([trials["complete"]["number"], trials["failed"]["number"]])
    page.locator(".toggle[data-group=running]").click()
    expect(page.locator(f"#curve-{trials['running']['trial_id']}")).to_be_visible()
    assert numbers(page) == everyone


def test_the_axis_and_the_metric_can_be_chosen(open_page: Opened, trials: dict[str, Any], study: str) -> None:
    page, _ = open_page()
    visit(page, study)
    chart = page.locator("#curves .chart")
    assert chart.get_attribute("data-log") is None
    page.get_by_role("link", name="log", exact=True).click()
    expect(chart).to_have_attribute("data-log", "")
    page.get_by_role("link", name="loss", exact=True).click()
    expect(chart).to_have_attribute("data-metric", "loss")
    expect(chart).to_have_attribute("data-log", "")
    page.get_by_role("link", name="both", exact=True).click()
    expect(chart).to_have_attribute("data-metric", "val_loss")
    expect(page.locator("#curves .line.beside.best")).to_have_attribute("data-name", "loss")


def test_only_what_was_between_two_values_at_an_epoch(open_page: Opened, trials: dict[str, Any], study: str) -> None:
    page, _ = open_page()
    visit(page, study)
    page.get_by_label("At epoch").fill("2")
    page.get_by_label("val_loss from").fill("0.5")
    page.get_by_label("to", exact=True).fill("0.7")
    page.keyboard.press("Enter")
    page.wait_for_url("**/curves?at=2&from=0.5&to=0.7&bold=")
    assert numbers(page) == [trials["running"]["number"]]
    expect(page.locator("#curves")).to_contain_text("between 0.5 and 0.7: 1.")
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("#curves a.line")).to_have_count(3)


def test_curves_grow_and_appear_by_themselves(
    open_page: Opened, trials: dict[str, Any], worker: ScriptedWorker, study: str
) -> None:
    page, _ = open_page()
    visit(page, study)
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    fresh = trials["fresh"]
    worker.report(fresh, 0.65)
    line = page.locator(f"#curve-{fresh['trial_id']}")
    expect(line).to_have_attribute("aria-label", f"Trial {fresh['number']}, running, best val_loss 0.65")
    worker.report(trials["running"], 0.1, first=3)
    best = page.locator("#curves a.line.best")
    expect(best).to_have_attribute("id", f"curve-{trials['running']['trial_id']}")
    expect(page.locator("#history .dot.best")).to_have_attribute("href", f"/trials/{trials['running']['trial_id']}")
    worker.finish(fresh, "failed", kind="OOM", message="no memory")
    expect(line).to_have_class(re.compile("failed"))
    expect(page.locator(f".mark[data-of='{fresh['trial_id']}']")).to_have_class(re.compile("failed"))
    assert not [url for url in fetched if "/fragments/curves" in url]


def test_the_axes_follow_without_new_lines(
    open_page: Opened, trials: dict[str, Any], worker: ScriptedWorker, study: str
) -> None:
    page, _ = open_page()
    visit(page, study)
    before = page.locator("#curves .lines").get_attribute("viewBox")
    line = page.locator(f"#curve-{trials['complete']['trial_id']} polyline")
    points = line.get_attribute("points")
    worker.report(trials["running"], 2.5, 3.0, first=3)
    expect(page.locator("#curves .lines")).not_to_have_attribute("viewBox", before or "")
    assert line.get_attribute("points") == points
    assert float(page.locator("#curves .chart").get_attribute("data-high") or 0) >= 3.0


def test_the_history_goes_by_epochs_or_by_time(open_page: Opened, trials: dict[str, Any], study: str) -> None:
    page, _ = open_page()
    visit(page, study)
    dots = page.locator("#history a.dot")
    expect(dots).to_have_count(3)
    dots.last.hover()
    expect(page.locator("#history .tip")).to_contain_text("0.2 at its epoch 3")
    page.locator("#history").get_by_role("link", name="time").click()
    page.wait_for_url("**/curves?x=time#history-title")
    expect(page.locator("#history .chart")).to_have_attribute("data-across", "time")
    dots.last.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#history .tip")).to_contain_text("0.4 at its epoch 2")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/trials/{trials['complete']['trial_id']}")


def test_a_finger_names_first_and_opens_second(open_page: Opened, trials: dict[str, Any], study: str) -> None:
    page, _ = open_page(**PHONE)
    visit(page, study)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    x, y = place(page, f"#curve-{trials['complete']['trial_id']}", 2)
    page.touchscreen.tap(x, y)
    expect(page.locator("#curves .tip")).to_contain_text("epoch 3: 0.2")
    assert page.url.endswith("/curves")
    page.touchscreen.tap(x, y)
    page.wait_for_url(f"**/trials/{trials['complete']['trial_id']}")


def test_without_script_links_and_the_form_do_the_same(open_page: Opened, trials: dict[str, Any], study: str) -> None:
    page, _ = open_page(java_script_enabled=False)
    page.goto(f"/studies/{study}/curves")
    expect(page.locator("#curves a.line")).to_have_count(3)
    page.locator(".toggle[data-group=failed]").click()
    expect(page.locator("#curves a.line")).to_have_count(2)
    page.get_by_label("At epoch").fill("2")
    page.get_by_label("to", exact=True).fill("0.5")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#curves a.line")).to_have_count(1)
    page.locator(".toggle[data-group=failed]").click()
    expect(page.locator(".gate-note")).to_contain_text("at most 0.5")
    page.locator("#curves a.line.best").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(f"Trial {trials['complete']['number']}")


def test_a_trial_shows_training_against_validation(open_page: Opened, trials: dict[str, Any]) -> None:
    page, _ = open_page()
    page.goto(f"/trials/{trials['complete']['trial_id']}")
    expect(page.locator("#curve .line.own")).to_have_attribute("data-name", "val_loss")
    expect(page.locator("#curve .line.beside")).to_have_attribute("data-name", "loss")
    expect(page.locator("#curve .notes")).to_contain_text("best epoch 3")
    x, y = place(page, "#curve .line.own", 1)
    page.mouse.move(x, y - 3)
    expect(page.locator("#curve .tip")).to_contain_text("epoch 2: 0.4")
