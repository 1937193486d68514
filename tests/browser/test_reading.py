"""Pages that everybody can read: dark or light, wide or narrow, by mouse or by keyboard, with script or without."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TOKEN, Opened
from tests.service.web.trials import SPACE, ScriptedWorker

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LONG = "a-study-with-a-name-that-is-as-long-as-a-name-may-be-for-studies"

# Contrast of every visible text with what lies behind it, by the formula of WCAG 2.2.
PALE_TEXTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, behind(element.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => ((c /= 255), c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const pale = [];
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen")) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const color = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(over(rgba(color), back)), light(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    const text = walker.currentNode.data.trim().slice(0, 40);
    if (ratio < 4.5) pale.push(`${ratio.toFixed(2)} ${element.className} ${text}`);
  }
  return { seen, pale };
}"""


@pytest.fixture
def trials(worker: ScriptedWorker) -> dict[str, dict[str, Any]]:
    """A study with a long name, many parameters and trials in every state."""
    more = {f"a_rather_long_parameter_{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(8)}
    if worker.http.get(f"/api/v1/studies/{LONG}").status_code == 404:
        worker.submit(LONG, space=SPACE | more, budget={"max_trials": 30, "max_epochs": 8})
        complete, failed, diverged, cancelled, running = worker.claim(5)
        worker.report(complete, 0.9, 0.31, 0.42)
        worker.finish(complete)
        worker.report(failed, 0.8)
        message = "a message without a place to break it: " + "x" * 300
        worker.finish(failed, "failed", kind="ResourceExhaustedError", message=message, traceback=f"line 1\n{message}")
        worker.report(diverged, 1.8, 9.5)
        worker.finish(diverged, "diverged")
        worker.post(f"/trials/{cancelled['trial_id']}:stop", {})
        worker.report(running, 0.7, 0.35)
        tell_of_slots(worker, running)
    rows = worker.http.get(f"/api/v1/studies/{LONG}/trials").json()["items"]
    return dict(zip(("complete", "failed", "diverged", "cancelled", "running"), rows, strict=False))


def tell_of_slots(worker: ScriptedWorker, trial: dict[str, Any]) -> None:
    """Let a worker tell of devices and slots in every state."""
    gpu = {"kind": "gpu", "uuid": "GPU-1", "memory_total_bytes": 10**11, "memory_used_bytes": 3 * 10**10}
    devices = [
        gpu | {"name": f"Accelerator {'x' * 60}", "utilisation": 0.9},
        {"kind": "cpu", "name": "c", "num_cores": 2},
    ]
    states = ("training", "idle", "starting", "paused")
    slots = [{"index": index, "state": state, "device": "GPU-1"} for index, state in enumerate(states)]
    slots[0]["trial_id"] = trial["trial_id"]
    slots[3]["detail"] = "three trainings failed within ten seconds each, so this slot waits for five minutes"
    body = {"leases": [trial["lease"]], "devices": devices, "slots": slots}
    worker.post(f"/workers/{worker.worker_id}:heartbeat", body)


def paths(trials: dict[str, dict[str, Any]]) -> list[str]:
    return [
        "/",
        "/workers",
        f"/studies/{LONG}",
        *(f"/trials/{trial['trial_id']}" for trial in trials.values()),
        "/login",
        "/lost",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_background(open_page: Opened, trials: dict[str, Any], scheme: str) -> None:
    page, watch = open_page(color_scheme=scheme, reduced_motion="reduce")
    watch.expected.append("404")
    for path in paths(trials):
        page.goto(path)
        found = page.evaluate(PALE_TEXTS)
        assert found["seen"] > 5
        assert found["pale"] == [], path


def test_dark_is_dark_and_light_is_light(open_page: Opened) -> None:
    sums = {}
    for scheme in ("light", "dark"):
        page, _ = open_page(color_scheme=scheme)
        page.goto("/")
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        sums[scheme] = sum(map(int, re.findall(r"\d+", color)[:3]))
    assert sums["light"] > 690
    assert sums["dark"] < 90


def test_no_page_is_wider_than_a_phone(open_page: Opened, trials: dict[str, Any]) -> None:
    page, watch = open_page(**PHONE)
    watch.expected.append("404")
    for path in paths(trials):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    page.goto(f"/studies/{LONG}")
    row = page.locator(f"#trial-{trials['complete']['trial_id']}")
    box = row.bounding_box()
    assert box is not None
    assert box["width"] <= 390, "a row is a card that fits the phone"
    assert row.locator("td[data-label=learning_rate]").is_visible()


def test_a_wide_table_scrolls_in_itself(open_page: Opened, trials: dict[str, Any]) -> None:
    page, _ = open_page(viewport={"width": 1000, "height": 800})
    page.goto(f"/studies/{LONG}")
    box = page.locator("#leaderboard .scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000
    name = page.locator(".board tr.best .trial a:not(.pin)")
    before = name.bounding_box()
    box.evaluate("box => { box.scrollLeft = 400; }")
    assert name.bounding_box() == before, "the trial's name stays in sight"


def test_pages_are_complete_without_script(open_page: Opened, trials: dict[str, Any], worker: ScriptedWorker) -> None:
    page, _ = open_page(java_script_enabled=False)
    page.goto(f"/studies/{LONG}")
    expect(page.locator(".board tbody tr")).to_have_count(len(trials))
    expect(page.locator(".line.best polyline")).to_be_visible()
    expect(page.locator("#live")).to_have_text("reload for news")
    page.locator(".board tr.best .trial a:not(.pin)").click()
    expect(page.locator("h1")).to_contain_text(f"Trial {trials['complete']['number']}")
    expect(page.locator(".line.own polyline")).to_be_visible()
    page.get_by_role("link", name="Studies", exact=True).click()
    expect(page.locator(f"#study-{LONG}")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()


def test_pointing_at_a_curve_names_its_trial(open_page: Opened, trials: dict[str, Any]) -> None:
    page, _ = open_page()
    page.goto(f"/studies/{LONG}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    tip = page.locator(".tip")
    expect(tip).to_be_hidden()
    best = page.locator(".line.best")
    x, y = end_of(page, trials["complete"]["trial_id"])
    page.mouse.move(x + 3, y + 3)
    expect(tip).to_contain_text(f"Trial {trials['complete']['number']} complete, the best")
    expect(tip).to_contain_text("epoch 3: 0.42")
    expect(tip).to_contain_text("best val_loss 0.31")
    expect(best).to_have_class(re.compile("pointed"))
    page.mouse.click(x + 3, y + 3)
    page.wait_for_url(f"**/trials/{trials['complete']['trial_id']}")


def end_of(page: Page, trial_id: int) -> tuple[float, float]:
    """Where on the screen a curve ends."""
    place: list[float] = page.locator(f"#curve-{trial_id} polyline").evaluate(
        """line => {
          line.closest(".plot").scrollIntoView({ block: "center" });
          const last = line.points.getItem(line.points.numberOfItems - 1).matrixTransform(line.getScreenCTM());
          return [last.x, last.y];
        }"""
    )
    return place[0], place[1]


def tab_to(page: Page, selector: str) -> None:
    """Press the Tab key until an element has the focus; it must be among the next ones."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.locator(selector).first.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"30 times Tab do not reach {selector}")


def test_the_keyboard_reaches_everything(open_page: Opened, trials: dict[str, Any]) -> None:
    page, _ = open_page()
    page.goto(f"/studies/{LONG}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "#summary a")
    tab_to(page, "#curves .line.best")
    expect(page.locator(".line.best")).to_be_focused()
    expect(page.locator(".tip")).to_contain_text(f"Trial {trials['complete']['number']}")
    page.keyboard.press("ArrowRight")
    expect(page.locator(f"#curve-{trials['failed']['trial_id']}")).to_be_focused()
    expect(page.locator(".tip")).to_contain_text(f"Trial {trials['failed']['number']} failed")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/trials/{trials['failed']['trial_id']}")


def test_signing_in_and_out(open_page: Opened) -> None:
    page, watch = open_page(token=None)
    watch.expected.append("401")
    page.goto("/studies/somewhere?after=0")
    page.get_by_label("Access token").fill("not the token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    watch.expected.append("404")
    page.get_by_label("Access token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url("**/studies/somewhere?after=0")
    expect(page.locator("h1")).to_have_text("Not found")
    [cookie] = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("caviar_session", True, "Lax")
    page.get_by_role("link", name="All studies").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    assert page.context.cookies() == []


def test_the_policy_stops_what_does_not_come_from_the_service(open_page: Opened) -> None:
    page, watch = open_page()
    watch.expected.append("Content Security Policy")
    page.goto("/")
    page.evaluate(
        """() => {
          window.stopped = [];
          document.addEventListener("securitypolicyviolation", (event) => stopped.push(event.effectiveDirective));
          const inline = document.createElement("script");
          inline.textContent = "window.ran = true";
          const style = document.createElement("style");
          style.textContent = "body { display: none }";
          const image = new Image();
          image.src = "https://elsewhere.example/pixel.png";
          document.body.append(inline, style, image);
        }"""
    )
    page.wait_for_function("stopped.length >= 3")
    assert set(page.evaluate("stopped")) == {"script-src-elem", "style-src-elem", "img-src"}
    assert page.evaluate("window.ran") is None
    watch.foreign.clear()


def test_what_trials_say_is_never_run(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    worker.submit(study)
    [trial] = worker.claim()
    hostile = "<img src=x onerror='window.ran = true'><script>window.ran = true</script>"
    page.goto(f"/trials/{trial['trial_id']}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    worker.finish(trial, "failed", kind=hostile, message=hostile, traceback=hostile)
    expect(page.locator(".failure h2")).to_have_text(hostile)
    assert page.evaluate("window.ran") is None
    assert page.locator(".failure img, .failure script").count() == 0
