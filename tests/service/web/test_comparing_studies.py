"""Studies side by side, as a page."""

from __future__ import annotations

import itertools
import re
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.web.pictures.study_overlay import _apart
from tests.service.web.trials import ScriptedWorker


@pytest.fixture
def pair(worker: ScriptedWorker) -> str:
    """The query for two studies, the first of which is better."""
    for name, changes, values in (("first", {}, (0.9, 0.5)), ("second", {"seed": 9}, (0.7, 0.6, 0.8))):
        changed: dict[str, Any] = changes
        worker.submit(name, **changed)
        [trial] = worker.claim()
        worker.report(trial, *values)
        worker.finish(trial)
        worker.post(f"/studies/{name}:stop", {})
    return "study=first&study=second"


def lines(html: str, title: str) -> dict[str, str]:
    """The first path of each line of a picture, by what is said of it."""
    begun = html.index(f'id="{title}"')
    picture = html[begun : html.index("</section>", begun)]
    return dict(re.findall(r'role="img" aria-label="([^"]+)">(?:<path class="rest"[^>]*>)?<path d="([^"]+)"', picture))


def test_histories_are_drawn_over_epochs_or_time(browser: TestClient, pair: str) -> None:
    html = browser.get(f"/compare?{pair}").text
    drawn = lines(html, "history-title")
    assert list(drawn) == ["first: best val_loss 0.5", "second: best val_loss 0.6"]
    # Three epochs are the whole width: the first study's second epoch is at two thirds of it, where it also ends.
    assert re.fullmatch(r"M330\.0 [\d.]+V[\d.]+H660\.0V[\d.]+H660\.0", drawn["first: best val_loss 0.5"])
    assert drawn["second: best val_loss 0.6"].endswith("H990.0")
    by_time = unescape(re.findall(r'href="(/compare[^"]+axis=time)"', html)[0])
    assert by_time == "/compare?study=first&study=second&axis=time"
    assert "since it was created" in browser.get(by_time).text


def test_the_distribution_rises_to_all_trials(browser: TestClient, pair: str) -> None:
    drawn = lines(browser.get(f"/compare?{pair}").text, "distribution-title")
    assert set(drawn) == {"first: 1 trials", "second: 1 trials"}
    assert all(re.fullmatch(r"M[\d.]+ 1000\.0V0\.0H1000\.0", path) for path in drawn.values())


def test_the_better_one_leads_and_only_differences_are_listed(browser: TestClient, pair: str) -> None:
    html = browser.get(f"/compare?{pair}").text
    assert re.findall(r'<td class="leads"><b>([\d.]+)</b>', html) == ["0.5"]
    assert re.findall(r"<code>([^<]+)</code>", html) == ["seed"]
    assert "<td>3</td><td>9</td>" in html
    assert f'href="/api/v1/studies:compare?{pair.replace("&", "&amp;")}"' in html


def test_a_study_without_any_value_is_in_the_tables_only(
    browser: TestClient, pair: str, worker: ScriptedWorker
) -> None:
    worker.submit("blank", space={"x": {"type": "int", "low": 1, "high": 4, "when": None}})
    html = browser.get(f"/compare?{pair}&study=blank").text
    assert len(lines(html, "history-title")) == 2
    assert "space.x" in html
    assert "<td>–</td><td>–</td><td>1 … 4</td>" in html


def test_values_of_different_metrics_are_not_drawn(browser: TestClient, pair: str, worker: ScriptedWorker) -> None:
    worker.submit("other", metric={"name": "val_loss", "direction": "maximize"})
    html = browser.get(f"/compare?{pair}&study=other").text
    assert "Their metrics differ" in html
    assert "<polyline" not in html
    assert 'class="overlay' not in html
    assert 'class="leads"' not in html


def test_a_choice_that_cannot_be_compared_is_refused(browser: TestClient, pair: str) -> None:
    for query, status in ((pair[:11], 422), ("", 422), (f"{pair}&study=first", 422), (f"{pair}&study=gone", 404)):
        answer = browser.get(f"/compare?{query}")
        assert answer.status_code == status, query
    assert "the names of 2 to 6 different studies" in browser.get("/compare?study=first").text
    assert browser.get(f"/compare?{pair}&axis=depth").status_code == 422


@pytest.mark.parametrize("tops", [[50.0, 50.0, 50.0], [1.0, 2.0], [99.0, 98.0, 97.5], [10.0, 90.0], [98.0] * 6])
def test_labels_never_lie_on_each_other(tops: list[float]) -> None:
    placed = sorted(_apart(tops))
    assert all(later - earlier >= 6.3 for earlier, later in itertools.pairwise(placed))
    assert placed[0] >= 0
    assert placed[-1] <= 100
