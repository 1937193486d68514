"""What becomes of trials that run out of memory, stand still or fail, and what is kept of their circumstances."""

from __future__ import annotations

from typing import Any

import pytest

from service.search.mirror import TrialRecord
from service.search.results import result_of
from service.search.rungs import is_failure
from service.use_cases.searching import Search
from tests.service.protocol.wire import item
from tests.service.use_cases.lab import Lab

FACTS = {"slot": 0, "device": "GPU-1", "device_name": "H200", "backend": "tensorflow", "versions": {"keras": "3.15.0"}}
PEAKS = {"peak_memory_bytes": 2_000_000_000, "peak_device_memory_bytes": 80_000_000_000}


def mirrored(lab: Lab, name: str, number: int) -> TrialRecord:
    """A trial as the sampler sees it."""
    search: Search = lab.wire.service.searches.of(lab.study_id(name))
    return search.examine(lambda mirror: mirror.trials[number])


def test_who_ran_out_of_memory_beside_others_is_tried_once_more_alone_without_a_charge(lab: Lab) -> None:
    name = lab.study(retries=0)
    wire, worker = lab.wire, lab.wire.worker(lab.objective)
    first = wire.claim_one(worker)
    assert first["is_alone"] is False
    assert wire.finish(first, "out_of_memory", facts={"is_alone": False}) == "waiting"
    assert wire.finish(first, "out_of_memory", facts={"is_alone": False}) == "waiting"
    requeued = [event.data for event in lab.events(name) if event.kind == "trial_requeued"]
    assert [(data["reason"], data["is_charged"]) for data in requeued] == [("out_of_memory", False)]
    second = wire.claim_one(worker)
    assert (second["trial_id"], second["attempt"], second["is_alone"]) == (first["trial_id"], 2, True)
    assert wire.claim_one(worker, knows=[second])["is_alone"] is False
    wire.report(second, 1)
    assert wire.finish(second) == "complete"


def test_a_repeated_claim_still_says_that_the_trial_must_be_alone(lab: Lab) -> None:
    lab.study()
    wire, worker = lab.wire, lab.wire.worker(lab.objective)
    wire.finish(wire.claim_one(worker), "out_of_memory")
    [told] = wire.claim(worker, request="once")
    assert told["is_alone"] is True
    assert wire.claim(worker, request="once") == [told]


def test_who_runs_out_of_memory_alone_is_infeasible_and_the_sampler_learns_of_it(lab: Lab) -> None:
    name = lab.study(retries=5)
    wire, worker = lab.wire, lab.wire.worker(lab.objective)
    assert wire.finish(wire.claim_one(worker), "out_of_memory") == "waiting"
    second = wire.claim_one(worker)
    wire.report(second, 1, 0.25)
    assert wire.finish(second, "out_of_memory", facts={**FACTS, **PEAKS}) == "failed"
    trial = wire.trial(second)
    assert trial["stop_reason"] == "infeasible"
    assert trial["evidence"] == {
        "rule": "out_of_memory",
        "epoch": 1,
        "alone": True,
        "attempts": 2,
        "device": "GPU-1",
        "device_name": "H200",
        **PEAKS,
    }
    known = mirrored(lab, name, second["number"])
    assert is_failure(known)
    learnt = result_of(known, wire.service.searches.of(lab.study_id(name)).spec.metric)
    assert learnt is not None
    assert learnt.is_failed


def test_who_was_alone_already_is_infeasible_at_once(lab: Lab) -> None:
    lab.study(retries=5)
    assignment = lab.wire.claim_one(lab.wire.worker(lab.objective))
    assert lab.wire.finish(assignment, "out_of_memory", facts={"is_alone": True}) == "failed"
    evidence = lab.wire.trial(assignment)["evidence"]
    assert evidence == {"rule": "out_of_memory", "epoch": 0, "alone": True, "attempts": 1}


def test_a_training_that_stands_still_is_retried_and_then_over_its_time(lab: Lab) -> None:
    lab.study(retries=1)
    wire, worker = lab.wire, lab.wire.worker(lab.objective)
    assert wire.finish(wire.claim_one(worker), "stalled") == "waiting"
    second = wire.claim_one(worker)
    wire.report(second, 1)
    assert wire.finish(second, "stalled") == "failed"
    trial = wire.trial(second)
    assert trial["stop_reason"] == "time_limit"
    assert trial["evidence"] == {"rule": "stalled", "epoch": 1, "attempt": 2, "retries": 1, "attempts_charged": 2}


@pytest.mark.parametrize(
    ("outcome", "kind", "reason", "rule"),
    [
        ("failed", "ValueError", "error", "failed"),
        ("failed", "killed", "error", "killed"),
        ("failed", "exited", "error", "exited"),
        ("diverged", "Diverged", "diverged", "diverged"),
        ("infeasible", "Infeasible", "infeasible", "infeasible"),
    ],
)
def test_every_end_has_its_own_reason_and_evidence(lab: Lab, outcome: str, kind: str, reason: str, rule: str) -> None:
    lab.study(retries=0)
    assignment = lab.wire.claim_one(lab.wire.worker(lab.objective))
    assert lab.wire.finish(assignment, outcome, error={"kind": kind, "message": "m"}) == "failed"
    trial = lab.wire.trial(assignment)
    assert (trial["stop_reason"], trial["evidence"]["rule"], trial["error"]["kind"]) == (reason, rule, kind)


def test_what_the_first_epoch_and_the_finish_tell_is_kept_together(lab: Lab) -> None:
    lab.study()
    wire = lab.wire
    assignment = wire.claim_one(wire.worker(lab.objective))
    told = {**FACTS, "code_version": "ab12cd34"}
    for _ in range(2):
        wire.post("/measurements", {"items": [item(assignment, 1, 0.5) | {"facts": told}]})
    [attempt] = wire.trial(assignment)["attempts"]
    assert {name: attempt["facts"][name] for name in told} == told
    assert attempt["facts"]["peak_memory_bytes"] is None
    for _ in range(2):
        facts = {**PEAKS, "is_alone": False}
        assert wire.finish(assignment, facts=facts, log_tail="Epoch 1\nfinis\n") == "complete"
    [attempt] = wire.trial(assignment)["attempts"]
    kept: dict[str, Any] = {**told, **PEAKS, "is_alone": False}
    assert {name: attempt["facts"][name] for name in kept} == kept
    assert attempt["log_tail"] == "Epoch 1\nfinis\n"


def test_a_trial_that_was_stopped_may_still_tell_how_it_was(lab: Lab) -> None:
    lab.study()
    wire = lab.wire
    assignment = wire.claim_one(wire.worker(lab.objective))
    wire.post(f"/trials/{assignment['trial_id']}:stop")
    assert wire.finish(assignment, facts=PEAKS, log_tail="so far") == "cancelled"
    [attempt] = wire.trial(assignment)["attempts"]
    assert (attempt["facts"]["peak_memory_bytes"], attempt["log_tail"]) == (PEAKS["peak_memory_bytes"], "so far")
    assert attempt["end"] == "stopped"


def test_a_zombie_tells_nothing_of_its_successor(lab: Lab) -> None:
    lab.study()
    wire = lab.wire
    old = wire.claim_one(wire.worker(lab.objective))
    wire.advance(40)
    new = wire.claim_one(wire.worker(lab.objective))
    assert wire.finish(old, facts=PEAKS, log_tail="mine") == "410 lease_lost"
    assert [entry["facts"] for entry in wire.trial(new)["attempts"]] == [None, None]
