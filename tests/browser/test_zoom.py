"""The zoom map under the hand: windows dragged by mouse and keyboard, a round opened, refusals, phone, no script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Opened
from tests.service.web.trials import ScriptedWorker

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SPACE = {
    "rate": {"type": "float", "low": 0.0001, "high": 1.0, "scale": "log"},
    "beta": {"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log"},
    "layers": {"type": "int", "low": 1, "high": 4},
    "kind": {"type": "categorical", "choices": ["sgd", "adam"]},
}


@pytest.fixture
def rounds(worker: ScriptedWorker, study: str) -> str:
    """A study with one round and four trials."""
    worker.submit(study, space=SPACE, strategy={"kind": "coarse_to_fine"}, budget={"max_trials": 60, "max_epochs": 1})
    for position, trial in enumerate(worker.claim(4)):
        worker.report(trial, 0.5 + position / 10)
        worker.finish(trial)
    return study


def visit(page: Page, study: str) -> None:
    page.goto(f"/studies/{study}/zoom")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def low(page: Page, name: str) -> Locator:
    return page.get_by_role("textbox", name=f"from, {name}")


def handle(page: Page, name: str, end: str) -> Locator:
    return page.get_by_role("slider", name=f"{end} end of {name}")


def drag(page: Page, target: Locator, share: float) -> None:
    """Take a handle and let it go at a share of its track."""
    target.scroll_into_view_if_needed()
    box, track = target.bounding_box(), target.locator("..").bounding_box()
    assert box
    assert track
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] * share, track["y"] + track["height"] / 2, steps=4)
    page.mouse.up()


def test_a_window_dragged_by_mouse_becomes_the_next_round(
    open_page: Opened, worker: ScriptedWorker, rounds: str
) -> None:
    page, _ = open_page()
    visit(page, rounds)
    drag(page, handle(page, "rate", "Lower"), 0.5)
    # The middle of four decades.
    value = float(low(page, "rate").input_value())
    assert 0.0095 < value < 0.0105
    expect(handle(page, "rate", "Lower")).to_have_attribute("aria-valuetext", low(page, "rate").input_value())
    expect(page.locator("#opening-words")).to_contain_text("draws rate anew")
    page.get_by_role("button", name="Open round 1").click()
    expect(page.get_by_role("button", name="Open round 2")).to_be_visible()
    expect(page.locator("#windows")).to_contain_text("set by hand")
    expect(page.locator("#strip-rate .band.manual")).to_have_count(1)
    opened = worker.http.get(f"/api/v1/studies/{rounds}/rounds").json()["items"][-1]
    assert opened["windows"]["rate"]["low"] == value
    assert opened["windows"]["beta"]["reason"] == "kept from round 0"


def test_a_window_moves_by_keyboard_in_the_coordinate_of_its_scale(open_page: Opened, rounds: str) -> None:
    page, _ = open_page()
    visit(page, rounds)
    handle(page, "rate", "Lower").focus()
    page.keyboard.press("PageUp")
    # A tenth of four decades up from 0.0001.
    expect(low(page, "rate")).to_have_value("0.0002512")
    page.keyboard.press("ArrowRight")
    expect(low(page, "rate")).to_have_value("0.0002754")
    page.keyboard.press("Home")
    expect(low(page, "rate")).to_have_value("0.0001")
    handle(page, "beta", "Upper").focus()
    page.keyboard.press("PageDown")
    # A tenth of two decades of the distance to 1.
    expect(page.get_by_role("textbox", name="to, beta")).to_have_value("0.998415")
    handle(page, "layers", "Upper").focus()
    page.keyboard.press("ArrowLeft")
    # Of whole numbers a key passes one.
    expect(page.get_by_role("textbox", name="to, layers")).to_have_value("3")


def test_a_refused_window_is_told_at_its_field(open_page: Opened, rounds: str) -> None:
    page, watch = open_page()
    watch.expected.append("422")
    visit(page, rounds)
    low(page, "rate").fill("7")
    page.get_by_role("button", name="Open round 1").click()
    problem = page.locator("#problem-rate")
    expect(problem).to_contain_text("expected a number in [0.0001, 1.0]")
    expect(low(page, "rate")).to_have_attribute("aria-invalid", "true")
    expect(low(page, "rate")).to_have_attribute("aria-describedby", "problem-rate")
    expect(low(page, "rate")).to_have_value("7")


def test_a_round_opened_elsewhere_appears_and_leaves_what_was_typed(
    open_page: Opened, worker: ScriptedWorker, rounds: str
) -> None:
    page, _ = open_page()
    visit(page, rounds)
    low(page, "beta").fill("0.95")
    worker.post(f"/studies/{rounds}/rounds", {"windows": {"rate": {"low": 0.001, "high": 0.1}}})
    expect(page.get_by_role("button", name="Open round 2")).to_be_visible()
    expect(low(page, "rate")).to_have_value("0.001")
    expect(handle(page, "rate", "Lower")).to_have_attribute("aria-valuenow", "25.0")
    expect(low(page, "beta")).to_have_value("0.95")


def test_a_trial_is_shown_in_all_pictures_at_once(open_page: Opened, rounds: str) -> None:
    page, _ = open_page()
    visit(page, rounds)
    plot = page.locator("#strip-rate .zoom-plot")
    plot.scroll_into_view_if_needed()
    spot = page.evaluate(
        """() => {
          const plot = document.querySelector("#strip-rate .zoom-plot");
          const [x, y] = plot.querySelector(".leader").getAttribute("d").match(/[\\d.]+/g).map(Number);
          const box = plot.getBoundingClientRect();
          return [box.left + x / 1000 * box.width, box.top + y / 1000 * box.height];
        }"""
    )
    with page.expect_response("**/points?*"):
        page.mouse.move(*spot)
    page.mouse.move(spot[0] + 1, spot[1])
    expect(page.locator(".zoom-tip")).to_contain_text("Trial 0, complete, val_loss 0.5")
    expect(page.locator(".overlay .twin")).to_have_count(4 if page.locator("#strip-kind .leader").count() else 3)
    page.mouse.click(spot[0] + 1, spot[1])
    page.wait_for_url("**/trials/*")


def test_reasons_of_rounds_are_told_by_keyboard(open_page: Opened, rounds: str) -> None:
    page, _ = open_page()
    visit(page, rounds)
    page.locator("#strip-rate .zoom-plot").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".zoom-tip")).to_contain_text("Round 0: 0.0001 … 1")
    expect(page.locator(".zoom-tip")).to_contain_text("covers the whole range evenly")
    page.keyboard.press("Escape")
    expect(page.locator(".zoom-tip")).to_be_hidden()


def test_on_a_phone_nothing_scrolls_sideways(open_page: Opened, rounds: str) -> None:
    page, _ = open_page(**PHONE)
    for path in ("zoom", "space", "rungs", "timeline"):
        page.goto(f"/studies/{rounds}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, path


def test_without_script_fields_do_the_same(open_page: Opened, worker: ScriptedWorker, rounds: str) -> None:
    page, _ = open_page(java_script_enabled=False)
    page.goto(f"/studies/{rounds}/zoom")
    expect(page.locator(".next .track")).to_have_count(0)
    low(page, "rate").fill("0.01")
    page.get_by_role("textbox", name="adam, weight in percent, kind").fill("90")
    page.get_by_role("button", name="Open round 1").click()
    expect(page.get_by_role("button", name="Open round 2")).to_be_visible()
    opened = worker.http.get(f"/api/v1/studies/{rounds}/rounds").json()["items"][-1]
    assert opened["windows"]["rate"]["low"] == 0.01
    assert opened["windows"]["kind"]["weights"] == pytest.approx([50 / 140, 90 / 140])


def test_a_time_chosen_by_dragging_is_in_the_address(open_page: Opened, rounds: str) -> None:
    page, _ = open_page()
    page.goto(f"/studies/{rounds}/timeline")
    box = page.locator(".lane svg").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 5, steps=3)
    expect(page.locator(".chosen")).to_be_visible()
    page.mouse.up()
    page.wait_for_url("**/timeline?from=*&to=*")
    expect(page.locator("#timeline-title")).to_be_visible()
