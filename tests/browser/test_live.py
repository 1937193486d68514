"""Pages that move by themselves, and stay where the reader is."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import DEADLINE_MS
from tests.browser.conftest import Opened
from tests.service.web.trials import ScriptedWorker

pytestmark = pytest.mark.browser


def visit(page: Page, study: str) -> None:
    """Open a study's page and mark the document, so that a reload would be noticed."""
    page.goto(f"/studies/{study}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.evaluate("document.body.dataset.mark = 'same document'")


def is_same_document(page: Page) -> bool:
    return bool(page.evaluate("document.body.dataset.mark === 'same document'"))


def points(page: Page, trial_id: int) -> int:
    value = page.locator(f"#curve-{trial_id} polyline").get_attribute("points")
    return len((value or "").split())


def order(page: Page) -> list[str]:
    rows: list[str] = page.locator(".board tbody tr").evaluate_all("rows => rows.map(row => row.id)")
    return rows


def test_a_study_fills_without_a_reload(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    worker.submit(study, budget={"max_trials": 3, "max_epochs": 4})
    visit(page, study)
    expect(page.locator("#leaderboard")).to_contain_text("No trial yet.")
    expect(page.locator("#curves")).to_contain_text("No trial has reported an epoch yet")

    first, second, third = worker.claim(3)
    expect(page.locator(".board tbody tr")).to_have_count(3)
    expect(page.locator(f"#trial-{first['trial_id']}")).to_contain_text("running")

    worker.report(first, 0.9, 0.8)
    best = page.locator(".board tr.best")
    expect(best).to_have_attribute("id", f"trial-{first['trial_id']}")
    expect(page.locator("#summary .figure.best")).to_have_text("0.8")
    expect(page.locator(".line.best")).to_have_attribute("id", f"curve-{first['trial_id']}")
    assert points(page, first["trial_id"]) == 2

    worker.report(second, 0.7, 0.5)
    expect(best).to_have_attribute("id", f"trial-{second['trial_id']}")
    expect(page.locator(".line.best")).to_have_attribute("id", f"curve-{second['trial_id']}")
    assert order(page) == [f"trial-{trial['trial_id']}" for trial in (second, first, third)]

    worker.report(third, 0.6)
    worker.finish(third, "diverged", kind="NaN", message="the loss is not a number")
    expect(page.locator(f"#trial-{third['trial_id']}")).to_contain_text("diverged")
    expect(page.locator(f"#curve-{third['trial_id']}")).to_have_class(re.compile("failed"))

    for trial, values in ((first, (0.7, 0.6)), (second, (0.4, 0.3))):
        worker.report(trial, *values, first=3)
        worker.finish(trial)
    expect(page.locator("#summary")).to_contain_text("max trials reached")
    expect(page.locator("#summary .figure.best")).to_have_text("0.3")
    assert is_same_document(page)


def test_a_curve_grows_with_each_epoch(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    worker.submit(study)
    [trial] = worker.claim()
    worker.report(trial, 0.9, 0.2)
    visit(page, study)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    for epoch in range(3, 8):
        worker.report(trial, 0.9 - epoch / 10, first=epoch)
        expect(page.locator(f"#trial-{trial['trial_id']} .reach")).to_have_text(f"{epoch}/8")
        page.wait_for_function(
            "([id, n]) => document.querySelector(`#curve-${id} polyline`).points.numberOfItems === n",
            arg=[trial["trial_id"], epoch],
        )
    # Within the axis a curve grows from the events themselves: the picture is not fetched again.
    assert any("fragments/leaderboard" in url for url in requested)
    assert not any("fragments/curves" in url for url in requested)
    assert is_same_document(page)


def test_focus_and_scroll_stay_while_rows_move(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page(viewport={"width": 700, "height": 500})
    worker.submit(study)
    trials = worker.claim(3)
    for trial, value in zip(trials, (0.3, 0.4, 0.5), strict=True):
        worker.report(trial, value)
    visit(page, study)
    last = page.locator(f"#trial-{trials[2]['trial_id']} a")
    last.focus()
    page.locator("#leaderboard .scroll").evaluate("box => { box.scrollLeft = 150; }")
    before = page.evaluate("scrollY")
    worker.report(trials[2], 0.1, first=2)
    expect(page.locator(".board tbody tr").first).to_have_attribute("id", f"trial-{trials[2]['trial_id']}")
    expect(last).to_be_focused()
    assert page.locator("#leaderboard .scroll").evaluate("box => box.scrollLeft") == 150
    assert page.evaluate("scrollY") == pytest.approx(before, abs=2)
    assert is_same_document(page)


def test_a_retried_trial_begins_its_curve_again(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    worker.submit(study, retries=1)
    [trial] = worker.claim()
    worker.report(trial, 0.9, 0.8, 0.7)
    visit(page, study)
    worker.finish(trial, "failed", kind="Killed", message="the process was killed")
    [again] = worker.claim()
    assert again["trial_id"] == trial["trial_id"]
    worker.report(again, 0.6)
    page.wait_for_function(
        "id => document.querySelector(`#curve-${id} polyline`)?.points.numberOfItems === 1",
        arg=trial["trial_id"],
    )
    expect(page.locator(f"#trial-{trial['trial_id']}")).to_contain_text("attempt 2")


def test_a_new_round_appears_and_open_rounds_stay_open(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    worker.submit(study, strategy={"kind": "coarse_to_fine"}, budget={"max_trials": 60, "max_epochs": 1})
    visit(page, study)
    expect(page.locator("#rounds")).to_be_hidden()
    is_later_round_open = False
    for number in range(40):
        [trial] = worker.claim()
        worker.report(trial, 0.5 + number / 100)
        worker.finish(trial)
        if number == 0:
            expect(page.locator("#round-0")).to_have_attribute("open", "")
        is_later_round_open = len(worker.http.get(f"/api/v1/studies/{study}/rounds").json()["items"]) > 1
        if is_later_round_open:
            break
    assert is_later_round_open
    expect(page.locator("#round-1")).to_have_attribute("open", "")
    expect(page.locator("#round-0")).to_have_attribute("open", "")
    assert is_same_document(page)


def test_without_a_stream_the_page_asks_again_and_again(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, watch = open_page()
    watch.expected.append("ERR_FAILED")
    worker.submit(study)
    page.route("**/events?*", lambda route: route.abort())
    page.goto(f"/studies/{study}")
    expect(page.locator("#live")).to_have_attribute("data-state", "polling")
    expect(page.locator("#live")).to_have_text("reconnecting")
    [trial] = worker.claim()
    worker.report(trial, 0.25)
    expect(page.locator(".board tr.best .value")).to_have_text("0.2500")
    page.unroute("**/events?*")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    worker.report(trial, 0.125, first=2)
    expect(page.locator("#summary .figure.best")).to_have_text("0.125")


def test_a_running_trials_page_follows_it(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    worker.submit(study)
    [trial] = worker.claim()
    page.goto(f"/trials/{trial['trial_id']}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.locator("#curve")).to_contain_text("No epoch has been reported yet.")
    worker.report(trial, 0.5, 0.25)
    expect(page.locator(".summary .figure").first).to_have_text("0.25")
    expect(page.locator(".line.own polyline")).to_have_attribute("points", re.compile(r"^1,[\d.]+ 2,[\d.]+$"))
    page.locator("details.measured summary").click()
    worker.report(trial, 0.125, first=3)
    expect(page.locator("details.measured tbody tr")).to_have_count(3)
    expect(page.locator("details.measured")).to_have_attribute("open", "")
    worker.finish(trial, "failed", kind="OOM", message="out of memory", traceback="line 1\nline 2")
    expect(page.locator(".failure")).to_contain_text("out of memory")


def test_the_list_of_studies_follows_too(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    page.goto("/")
    page.evaluate("document.body.dataset.mark = 'same document'")
    expect(page.locator(f"#study-{study}")).to_have_count(0)
    worker.submit(study)
    expect(page.locator(f"#study-{study}")).to_contain_text("running")
    assert is_same_document(page)


def test_a_deleted_study_is_said_to_be_gone(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, watch = open_page()
    watch.expected.append("404")
    worker.submit(study)
    [trial] = worker.claim()
    worker.report(trial, 0.5)
    visit(page, study)
    worker.post(f"/studies/{study}:stop", {})
    expect(page.locator("#summary")).to_contain_text("stopped")
    assert worker.http.delete(f"/api/v1/studies/{study}").status_code < 300
    # Nothing happens any more in a deleted study: the page finds out when it asks by itself.
    expect(page.locator("#live")).to_have_text("deleted: there is nothing to follow", timeout=2 * DEADLINE_MS)


def test_nothing_flashes_for_those_who_asked_for_calm(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    calm, _ = open_page(reduced_motion="reduce")
    lively, _ = open_page()
    worker.submit(study)
    [trial] = worker.claim()
    for page in (calm, lively):
        visit(page, study)
        page.evaluate(
            """() => {
              const animate = Element.prototype.animate;
              document.body.dataset.animated = 0;
              Element.prototype.animate = function (...args) {
                document.body.dataset.animated++;
                return animate.apply(this, args);
              };
            }"""
        )
    worker.report(trial, 0.5)
    for page in (calm, lively):
        expect(page.locator(".board tr.best .value")).to_have_text("0.5000")
    expect(lively.locator("body")).not_to_have_attribute("data-animated", "0")
    expect(calm.locator("body")).to_have_attribute("data-animated", "0")


def test_the_page_of_workers_follows_and_steers(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    page.goto("/workers")
    card = page.locator(f"#worker-{worker.worker_id}")
    expect(card.locator(".chip").first).to_have_text("working")
    worker.submit(study)
    [trial] = worker.claim()
    slot = {"index": 0, "state": "training", "trial_id": trial["trial_id"]}
    device = {"kind": "gpu", "name": "big", "memory_total_bytes": 100, "memory_used_bytes": 40}
    worker.post(f"/workers/{worker.worker_id}:heartbeat", {"slots": [slot], "devices": [device]})
    link = card.get_by_role("link", name=f"{study} #{trial['number']}")
    expect(link).to_be_visible(timeout=30_000)
    assert card.locator("meter").evaluate("meter => meter.value / meter.max") == 0.4
    card.get_by_role("button", name="Drain").click()
    expect(card.locator(".chip").first).to_have_text("draining")
    expect(card.get_by_role("button")).to_have_count(1)
    card.get_by_role("button", name="Resume").click()
    expect(card.locator(".chip").first).to_have_text("working")
    link.click()
    expect(page.locator("h1")).to_have_text(f"Trial {trial['number']}")
