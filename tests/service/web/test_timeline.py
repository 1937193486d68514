"""The page of the timeline."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from caviar.contract.timeline import Bar, BarKind, Lane, Timeline, WorkerTime
from service.use_cases import timeline
from service.web.pictures.timeline import gantt
from tests.service.web.trials import ScriptedWorker

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def view(*bars: Bar, hours: float = 1) -> Timeline:
    worker = WorkerTime(
        worker_id="w", worker="box", slots=1, num_attempts=len(bars), busy_s=1, lanes=[Lane(slot=0, bars=list(bars))],
        load=[],
    )  # fmt: skip
    end = NOON + timedelta(hours=hours)
    return Timeline(
        study="s", begun_at=NOON, last_at=end, from_at=NOON, to_at=end, num_attempts=len(bars), num_lost=0,
        is_dense=False, workers=[worker], rounds=[],
    )  # fmt: skip


def bar(start_min: float, end_min: float | None, kind: BarKind = BarKind.COMPLETE) -> Bar:
    ended_at = None if end_min is None else NOON + timedelta(minutes=end_min)
    return Bar(
        trial_id=1, number=0, attempt=1, first_epoch=1, started_at=NOON + timedelta(minutes=start_min),
        ended_at=ended_at, kind=kind,
    )  # fmt: skip


def test_bars_lie_where_they_ran() -> None:
    [group] = gantt(view(bar(15, 30), bar(45, None, BarKind.RUNNING)), NOON + timedelta(hours=1)).groups
    first, second = group.tracks[0].bars
    assert [first.x, second.x] == [250, 750]
    assert [first.width, second.width] == pytest.approx([250, 250], abs=1)
    assert "attempt 1, from epoch 1" in first.words


@pytest.mark.parametrize(
    ("hours", "labels"),
    [
        (1, ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]),
        (1 / 60, ["12:00:00", "12:00:10", "12:00:20", "12:00:30", "12:00:40", "12:00:50", "12:01:00"]),
        (24, ["12:00", "15:00", "18:00", "21:00", "00:00", "03:00", "06:00", "09:00", "12:00"]),
    ],
)
def test_ticks_are_round_times(hours: float, labels: list[str]) -> None:
    assert [tick.label for tick in gantt(view(hours=hours), NOON).ticks] == labels


def test_days_are_ticks_of_long_studies() -> None:
    ticks = gantt(view(hours=24 * 40), NOON).ticks
    assert ticks[0].label.endswith("Nov")
    assert len(ticks) >= 4


def test_attempts_are_links_in_the_lane_of_their_worker(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("busy")
    done, running = worker.claim(2)
    worker.report(done, 0.5)
    worker.finish(done)
    html = browser.get("/studies/busy/timeline").text
    assert "2 attempts on 1 worker" in html
    assert f'<a href="/trials/{done["trial_id"]}" tabindex="-1"><rect class="bar complete"' in html
    assert f'<a href="/trials/{running["trial_id"]}" tabindex="-1"><rect class="bar running"' in html
    assert re.search(r"\d+ % busy, 2 attempts", html)
    assert html.count('<div class="lane">') == 2
    assert "The same as a table" in html


def test_windows_are_in_the_address(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("windowed")
    worker.claim()
    html = browser.get("/studies/windowed/timeline?last=600").text
    assert 'href="/studies/windowed/timeline?last=600" aria-current="page"' in html
    assert 'data-fragment="/studies/windowed/fragments/timeline?last=600"' in html
    early = browser.get(
        "/studies/windowed/timeline", params={"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
    )
    assert "No attempt ran in this window of time." in early.text
    assert re.search(r"timeline\?from=2019-12-31T12%3A00%3A00%2B00%3A00[^\"]*\">Earlier", early.text)


@pytest.mark.parametrize("query", ["last=0", "last=soon", "from=yesterday", "from=2026-01-01T00:00:00"])
def test_refused_windows_name_the_field(browser: TestClient, worker: ScriptedWorker, query: str) -> None:
    worker.submit("refused")
    answer = browser.get(f"/studies/refused/timeline?{query}")
    assert answer.status_code == 422
    assert query.split("=", maxsplit=1)[0] in answer.text


def test_too_many_attempts_are_drawn_as_load(
    browser: TestClient, worker: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.submit("dense")
    worker.claim(3)
    monkeypatch.setattr(timeline, "MAX_BARS", 2)
    html = browser.get("/studies/dense/timeline").text
    assert "too many to draw one by one" in html
    assert '<path class="area" d="M0 1000V' in html
    assert "The same as a table" not in html


def test_a_study_without_attempts_says_so(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("idle")
    assert "No trial has been handed out yet." in browser.get("/studies/idle/timeline").text
