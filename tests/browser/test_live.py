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
    # All of it came by the stream.
    assert [url for url in requested if "/fragments/" in url] == []
    assert is_same_document(page)


def test_focus_and_scroll_stay_while_rows_move(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page(viewport={"width": 700, "height": 500})
    worker.submit(study)
    trials = worker.claim(3)
    for trial, value in zip(trials, (0.3, 0.4, 0.5), strict=True):
        worker.report(trial, value)
    visit(page, study)
    last = page.locator(f"#trial-{trials[2]['trial_id']} a").first
    last.focus()
    page.locator("#leaderboard .scroll").evaluate("box => { box.scrollLeft = 150; }")
    before = page.evaluate("scrollY")
    worker.report(trials[2], 0.1, first=2)
    expect(page.locator(".board tbody tr").first).to_have_attribute("id", f"trial-{trials[2]['trial_id']}")
    expect(last).to_be_focused()
    assert page.locator("#leaderboard .scroll").evaluate("box => box.scrollLeft") == 150
    assert page.evaluate("scrollY") == pytest.approx(before, abs=2)
    assert is_same_document(page)


def test_ticked_boxes_and_selected_words_stay_while_rows_move(
    open_page: Opened, worker: ScriptedWorker, study: str
) -> None:
    page, _ = open_page()
    worker.submit(study)
    first, second, third = worker.claim(3)
    for trial, value in zip((first, second, third), (0.3, 0.4, 0.5), strict=True):
        worker.report(trial, value)
    visit(page, study)
    box = page.locator(f"#trial-{third['trial_id']} .pick input")
    box.check()
    select = "id => getSelection().selectAllChildren(document.querySelector(`#trial-${id} .value`))"
    page.evaluate(select, first["trial_id"])
    worker.report(third, 0.1, first=2)
    expect(page.locator(".board tbody tr").first).to_have_attribute("id", f"trial-{third['trial_id']}")
    expect(box).to_be_checked()
    assert page.evaluate("getSelection().toString().trim()") == "0.3000"
    assert order(page) == [f"trial-{trial['trial_id']}" for trial in (third, first, second)]
    assert is_same_document(page)


def test_a_new_trial_arrives_and_the_others_keep_their_rows(
    open_page: Opened, worker: ScriptedWorker, study: str
) -> None:
    page, _ = open_page()
    worker.submit(study)
    [first] = worker.claim()
    worker.report(first, 0.5)
    visit(page, study)
    page.evaluate(
        """id => {
          window.old = document.getElementById(`trial-${id}`);
          window.arrivals = [];
          const note = ({ target }) => target.matches(".arrived") && arrivals.push(target.id);
          const observer = new MutationObserver((records) => records.forEach(note));
          observer.observe(document.body, { subtree: true, attributeFilter: ["class"] });
        }""",
        first["trial_id"],
    )
    [second] = worker.claim()
    page.wait_for_function("id => arrivals.includes(`trial-${id}`)", arg=second["trial_id"])
    worker.report(second, 0.25)
    expect(page.locator(".board tr.best")).to_have_attribute("id", f"trial-{second['trial_id']}")
    assert page.evaluate("id => window.old === document.getElementById(`trial-${id}`)", first["trial_id"])
    assert page.evaluate("id => !arrivals.includes(`trial-${id}`)", first["trial_id"])


def test_two_views_of_a_study_each_show_their_own(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    usual, _ = open_page()
    filtered, _ = open_page()
    worker.submit(study)
    first, second = worker.claim(2)
    worker.report(first, 0.5)
    visit(usual, study)
    filtered.goto(f"/studies/{study}?state=complete")
    expect(filtered.locator("#live")).to_have_attribute("data-state", "live")
    worker.report(second, 0.25)
    expect(usual.locator(".board tr.best")).to_have_attribute("id", f"trial-{second['trial_id']}")
    worker.finish(first)
    expect(filtered.locator(f"#trial-{first['trial_id']}")).to_contain_text("complete")
    assert order(filtered) == [f"trial-{first['trial_id']}"]
    assert order(usual) == [f"trial-{trial['trial_id']}" for trial in (second, first)]
    expect(filtered.locator("#summary .figure.best")).to_have_text("0.25")


def test_a_page_that_is_held_stands_still_until_it_follows(
    open_page: Opened, worker: ScriptedWorker, study: str
) -> None:
    page, _ = open_page()
    worker.submit(study)
    [trial] = worker.claim()
    worker.report(trial, 0.5)
    visit(page, study)
    page.get_by_role("button", name="Hold live updates").click()
    expect(page.locator("#live")).to_have_text("held: the page stands still")
    page.reload()
    expect(page.locator("#live")).to_have_attribute("data-state", "held")
    worker.report(trial, 0.25, first=2)
    expect(page.locator("#summary .figure.best")).to_have_text("0.5")
    page.get_by_role("button", name="Follow live updates again").click()
    expect(page.locator("#summary .figure.best")).to_have_text("0.25")
    assert points(page, trial["trial_id"]) == 2
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def look(page: Page, *, is_away: bool) -> None:
    """Let the page believe that somebody looks at it, or that nobody does."""
    page.evaluate(
        """isAway => {
          Object.defineProperty(document, "hidden", { value: isAway, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_away,
    )


def test_a_page_that_nobody_looks_at_holds_no_connection(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, _ = open_page()
    page.add_init_script(
        """window.sources = [];
        window.EventSource = class extends EventSource {
          constructor(...args) { super(...args); sources.push(this); }
        };"""
    )
    worker.submit(study)
    [trial] = worker.claim()
    worker.report(trial, 0.5)
    visit(page, study)
    look(page, is_away=True)
    assert page.evaluate("sources.map((source) => source.readyState === EventSource.CLOSED)") == [True]
    worker.report(trial, 0.25, first=2)
    look(page, is_away=False)
    expect(page.locator("#summary .figure.best")).to_have_text("0.25")
    page.wait_for_function(
        "id => document.querySelector(`#curve-${id} polyline`).points.numberOfItems === 2", arg=trial["trial_id"]
    )
    assert page.evaluate("sources.length") == 2
    assert is_same_document(page)


def test_a_lost_connection_is_told_and_comes_back(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, watch = open_page()
    watch.expected.append("ERR_FAILED")
    worker.submit(study)
    [trial] = worker.claim()
    worker.report(trial, 0.5)
    visit(page, study)
    page.route("**/live?*", lambda route: route.abort())
    look(page, is_away=True)
    look(page, is_away=False)
    expect(page.locator("#live")).to_have_text("reconnecting")
    worker.report(trial, 0.25, first=2)
    expect(page.locator("#summary .figure.best")).to_have_text("0.25")
    page.unroute("**/live?*")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    worker.report(trial, 0.125, first=3)
    expect(page.locator("#summary .figure.best")).to_have_text("0.125")
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


def test_without_a_stream_the_page_asks_again_and_again(open_page: Opened, worker: ScriptedWorker, study: str) -> None:
    page, watch = open_page()
    watch.expected.append("ERR_FAILED")
    worker.submit(study)
    page.route("**/live?*", lambda route: route.abort())
    page.goto(f"/studies/{study}")
    expect(page.locator("#live")).to_have_attribute("data-state", "polling")
    expect(page.locator("#live")).to_have_text("reconnecting")
    [trial] = worker.claim()
    worker.report(trial, 0.25)
    expect(page.locator(".board tr.best .value")).to_have_text("0.2500")
    page.unroute("**/live?*")
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
