"""What is told of a study and a trial: decisions with their evidence, versions, the time left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.protocol.wire import item
from tests.service.use_cases.lab import Lab

ASHA: dict[str, Any] = {"kind": "asha", "min_resource": 1, "reduction_factor": 2}


def report(lab: Lab, assignment: Any, epoch: int, value: float) -> str:
    """What is decided after an epoch of which the worker keeps a checkpoint."""
    body = {"items": [item(assignment, epoch, value) | {"checkpoint": True}]}
    return str(lab.wire.post("/measurements", body)["decisions"][0]["decision"])


def test_every_decision_about_a_trial_is_told_with_its_evidence(lab: Lab) -> None:
    lab.study(pruner=ASHA, budget={"max_trials": 8, "max_epochs": 4})
    first, second = lab.claim(2)
    assert [report(lab, first, 1, 0.25), report(lab, second, 1, 0.5)] == ["pause", "pause"]
    paused = lab.wire.trial(first)
    assert (paused["state"], paused["checkpoint_epoch"]) == ("paused", 1)
    [again] = lab.claim()
    assert (again["trial_id"], again["first_epoch"]) == (first["trial_id"], 2)
    told = lab.wire.trial(first)
    assert [(one["decision"], one["epoch"], one["attempt"]) for one in told["decisions"]] == [
        ("pause", 1, 1),
        ("promote", 1, 2),
    ]
    assert all(one["evidence"]["rule"] == "asha" for one in told["decisions"])
    assert told["attempts"][0]["evidence"] is None
    assert told["attempts"][1]["evidence"] == told["decisions"][1]["evidence"]


def test_a_proposal_tells_what_it_was_conditioned_on(lab: Lab) -> None:
    name = lab.study()
    lab.wire.post(f"/studies/{name}/trials", {"params": {"x": 0.5, "kind": "a"}})
    enqueued, proposed = lab.claim(2)
    assert lab.wire.trial(enqueued)["as_of_seq"] is None
    as_of = lab.wire.trial(proposed)["as_of_seq"]
    created = next(
        event
        for event in lab.events(name)
        if event.kind == "trial_created" and event.data["number"] == proposed["number"]
    )
    assert as_of < created.seq
    assert created.data["as_of"] == as_of


def test_the_time_left_follows_the_pace_and_stands_still_in_pauses(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 4, "max_epochs": 5})

    def left() -> Any:
        return lab.wire.get(f"/studies/{name}")["seconds_left"]

    assert left() is None
    lab.wire.advance(500)
    [first] = lab.claim()
    assert left() is None
    lab.wire.advance(10)
    lab.wire.report(first, 1)
    lab.wire.finish(first)
    assert left() == pytest.approx(30)
    assert lab.wire.get("/studies?limit=1")["items"][0]["seconds_left"] == pytest.approx(30)
    lab.wire.post(f"/studies/{name}:pause")
    assert left() is None
    lab.wire.post(f"/studies/{name}:resume")
    assert left() == pytest.approx(30)
    lab.wire.post(f"/studies/{name}:stop")
    assert left() is None
