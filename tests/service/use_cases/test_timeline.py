"""The timeline: attempts by worker and slot, windows of time, and too many attempts to tell one by one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from service.use_cases import timeline
from tests.service.use_cases.lab import Lab


def told(lab: Lab, name: str, **window: datetime) -> Any:
    query = "&".join(f"{key}={quote(at.isoformat())}" for key, at in window.items())
    return lab.wire.get(f"/studies/{name}/timeline?{query}")


def run(lab: Lab, worker: str, *seconds: float, pause_s: float = 0.0) -> None:
    """Let a worker train trials one after the other."""
    for duration in seconds:
        assignment = lab.wire.claim_one(worker)
        lab.wire.report(assignment, 1, 0.5)
        lab.wire.clock.advance(duration)
        lab.wire.finish(assignment)
        lab.wire.clock.advance(pause_s)


def bars(found: Any) -> list[Any]:
    return [bar for worker in found["workers"] for lane in worker["lanes"] for bar in lane["bars"]]


def test_attempts_follow_each_other_in_one_lane(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5})
    run(lab, lab.wire.worker(lab.objective, name="box"), 10, 20, pause_s=10)
    found = told(lab, name)
    [worker] = found["workers"]
    assert (worker["worker"], worker["num_attempts"], worker["slots"]) == ("box", 2, 1)
    [lane] = worker["lanes"]
    assert [(bar["number"], bar["kind"]) for bar in lane["bars"]] == [(0, "complete"), (1, "complete")]
    assert worker["busy_s"] == pytest.approx(30)
    assert worker["share"] == pytest.approx(30 / 50)


def test_attempts_at_the_same_time_lie_in_lanes_of_their_own(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5})
    worker = lab.wire.worker(lab.objective, slots=2)
    first, second = lab.wire.claim(worker, 2)
    lab.wire.report(first, 1, 0.5)
    lab.wire.clock.advance(5)
    lab.wire.finish(first)
    lab.wire.clock.advance(1)
    assert [one["number"] for one in lab.wire.claim(worker, 1, knows=[second])] == [2]
    lab.wire.clock.advance(1)
    [one] = told(lab, name)["workers"]
    assert [[bar["number"] for bar in lane["bars"]] for lane in one["lanes"]] == [[0, 2], [1]]
    assert sorted(bar["kind"] for bar in bars(told(lab, name))) == ["complete", "running", "running"]


def test_every_way_to_end_is_told(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5}, retries=5, pruner={"kind": "threshold", "upper": 0.5})
    worker = lab.wire.worker(lab.objective, slots=5)
    failed, stopped, released, cancelled, lost = lab.wire.claim(worker, 5)
    lab.wire.clock.advance(3)
    body = {"lease": failed["lease"], "outcome": "failed", "error": None}
    lab.wire.post(f"/trials/{failed['trial_id']}:finish", body)
    assert lab.wire.report(stopped, 1, 0.9) == "stop"
    lab.wire.post(f"/trials/{released['trial_id']}:release", {"lease": released["lease"]})
    lab.wire.post(f"/trials/{cancelled['trial_id']}:stop")
    lab.wire.advance(60)
    found = told(lab, name)
    kinds = {bar["trial_id"]: bar["kind"] for bar in bars(found)}
    ends = {
        failed["trial_id"]: "failed",
        stopped["trial_id"]: "pruned",
        released["trial_id"]: "released",
        cancelled["trial_id"]: "cancelled",
        lost["trial_id"]: "lost",
    }
    assert kinds == ends
    assert found["num_lost"] == 1


def test_a_window_holds_what_ran_within_it(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5})
    begun = lab.wire.clock.now
    run(lab, lab.wire.worker(lab.objective), 10, 10, 10)
    found = told(lab, name, **{"from": begun + timedelta(seconds=12), "to": begun + timedelta(seconds=18)})
    assert [bar["number"] for bar in bars(found)] == [1]
    [worker] = found["workers"]
    assert (worker["busy_s"], worker["share"]) == (pytest.approx(6), pytest.approx(1))


def test_short_neighbours_that_end_alike_are_one_bar(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 20, "max_epochs": 5})
    run(lab, lab.wire.worker(lab.objective), 0.001, 0.001, 0.001, 30)
    assert [(bar["number"], bar["num_merged"]) for bar in bars(told(lab, name))] == [(0, 3), (3, 1)]


def test_too_many_bars_are_told_as_load(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    name = lab.study(budget={"max_trials": 20, "max_epochs": 5})
    run(lab, lab.wire.worker(lab.objective, slots=2), 10, 10, 10, 10)
    monkeypatch.setattr(timeline, "MAX_BARS", 3)
    found = told(lab, name)
    assert (found["is_dense"], found["num_attempts"], found["counted_every"]) == (True, 4, 1)
    [worker] = found["workers"]
    assert worker["lanes"] == []
    assert worker["busy_s"] == pytest.approx(40)
    assert worker["share"] == pytest.approx(0.5)
    # Ten seconds are a quarter of the window: they count where their attempt began.
    quarter = timeline.NUM_PARTS / 4
    begins = [at for at, load in enumerate(worker["load"]) if load]
    assert begins == [0, quarter, 2 * quarter, 3 * quarter]
    assert worker["load"][0] == pytest.approx(quarter)


def test_of_very_many_trials_an_even_part_stands_for_all(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    name = lab.study(budget={"max_trials": 20, "max_epochs": 5})
    run(lab, lab.wire.worker(lab.objective), 10, 10, 10, 10)
    monkeypatch.setattr(timeline, "MAX_BARS", 3)
    monkeypatch.setattr(timeline, "_MAX_COUNTED", 2)
    found = told(lab, name)
    assert (found["counted_every"], found["num_attempts"]) == (2, 4)
    assert found["workers"][0]["busy_s"] == pytest.approx(40)


def test_rounds_within_the_window_are_marked(lab: Lab) -> None:
    name = lab.study(strategy={"kind": "coarse_to_fine"}, budget={"max_trials": 20, "max_epochs": 5})
    before = lab.wire.clock.now
    run(lab, lab.wire.worker(lab.objective), 10)
    assert [mark["number"] for mark in told(lab, name)["rounds"]] == [0]
    assert told(lab, name, **{"from": before + timedelta(seconds=1)})["rounds"] == []


def test_a_study_that_has_not_begun_has_no_workers(lab: Lab) -> None:
    found = told(lab, lab.study())
    assert (found["workers"], found["num_attempts"], found["is_dense"]) == ([], 0, False)


def test_windows_that_are_none_are_refused(lab: Lab) -> None:
    name = lab.study()
    status, answer = lab.wire.ask("GET", f"/studies/{name}/timeline?from=2026-11-21T13:00:00Z&to=2026-11-21T12:00:00Z")
    assert (status, answer["errors"][0]["field"]) == (422, "from")
    status, answer = lab.wire.ask("GET", f"/studies/{name}/timeline?from=2026-11-21T13:00:00")
    assert status == 422
    assert lab.wire.refused("GET", "/studies/nowhere/timeline") == "404 not_found"
