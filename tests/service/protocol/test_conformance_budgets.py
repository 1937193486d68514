"""Budgets on both databases: trials, epochs, seconds, parallel trials, target; and people who intervene."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.service.protocol.wire import LEASE_TTL_S, Wire, item


def _train(wire: Wire, worker: str, epochs: int = 2) -> Any:
    """Claim a trial, train it to the end; None when there is none."""
    assigned = wire.claim(worker)
    for assignment in assigned:
        for epoch in range(1, epochs + 1):
            if wire.report(assignment, epoch) != "continue":
                return assignment
        wire.finish(assignment)
    return assigned[0] if assigned else None


def test_no_more_trials_are_created_than_the_budget_allows(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 4, "max_epochs": 2})
    worker = wire.worker(name)
    first = wire.claim(worker, 3)
    assert len(first) == 3
    assert len(wire.claim(worker, 10, knows=first)) == 1
    for entry in wire.get(f"/studies/{name}/trials")["items"]:
        assert wire.get(f"/studies/{name}")["state"] == "running"
        wire.post(f"/trials/{entry['trial_id']}:stop")
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["num_trials"]) == ("complete", "max_trials", 4)


def test_a_study_completes_when_its_last_trial_has_ended(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 3, "max_epochs": 2})
    worker = wire.worker(name)
    while _train(wire, worker) is not None:
        pass
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["counts"]) == ("complete", "max_trials", {"complete": 3})
    assert study["num_epochs"] == 6


def test_no_more_trials_run_at_once_than_the_budget_allows(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 9, "max_epochs": 2, "max_parallel": 2})
    one, two = wire.worker(name), wire.worker(name)
    held = wire.claim(one, 5)
    assert len(held) == 2
    assert wire.claim(two, 5) == []
    assert wire.release(held[0]) == "waiting"
    [again] = wire.claim(two, 5)
    assert again["trial_id"] == held[0]["trial_id"]
    wire.report(again, 1)
    wire.finish(again)
    assert len(wire.claim(two, 5)) == 1
    wire.ask("PATCH", f"/studies/{name}", {"budget": {"max_parallel": 4}})
    assert len(wire.claim(wire.worker(name), 5)) == 2


def test_epochs_of_lost_attempts_count_and_the_limit_ends_everything(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 9, "max_epochs": 5, "max_total_epochs": 4})
    worker = wire.worker(name)
    one, two = wire.claim(worker, 2)
    assert wire.report(one, 1) == "continue"
    assert wire.report(one, 2) == "continue"
    assert wire.release(one) == "waiting"
    answer = wire.post("/measurements", {"items": [item(two, 1), item(two, 2), item(two, 3)]})
    assert [entry["decision"] for entry in answer["decisions"]] == ["stop"]
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["num_epochs"]) == ("complete", "max_total_epochs", 4)
    assert study["counts"] == {"cancelled": 2}
    assert wire.claim(worker) == []


def test_the_target_ends_the_study_and_the_value_that_reached_it_counts(wire: Wire) -> None:
    name = wire.study(
        budget={"max_trials": 9, "max_epochs": 5, "target": 0.9}, metric={"name": "val_loss", "direction": "maximize"}
    )
    worker = wire.worker(name)
    one, two = wire.claim(worker, 2)
    assert wire.report(one, 1, 0.8) == "continue"
    assert wire.report(one, 2, 0.9) == "stop"
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["best"]["value"]) == ("complete", "target", 0.9)
    assert wire.trial(one)["state"] == "complete"
    assert (wire.trial(two)["state"], wire.heartbeat(worker, one, two)) == ("cancelled", [one["lease"], two["lease"]])


def test_seconds_of_a_study_run_on_while_it_is_paused(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 9, "max_epochs": 5, "max_seconds": 100})
    worker = wire.worker(name)
    assignment = wire.claim_one(worker)
    wire.report(assignment, 1)
    wire.post(f"/studies/{name}:pause")
    wire.advance(100)
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"]) == ("complete", "max_seconds")
    assert wire.trial(assignment)["state"] in ("cancelled", "waiting")
    assert wire.report(assignment, 2) == "410 lease_lost"


def test_seconds_of_an_attempt_end_a_trial_with_what_it_has(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 9, "max_epochs": 5, "max_trial_seconds": 10})
    with_value, without = wire.claim(wire.worker(name), 2)
    wire.report(with_value, 1)
    wire.advance(10)
    done, empty = wire.trial(with_value), wire.trial(without)
    assert (done["state"], done["stop_reason"], done["value"]) == ("complete", "time_limit", 0.5)
    assert (empty["state"], empty["stop_reason"]) == ("failed", "time_limit")


def test_a_report_past_the_last_epoch_ends_the_trial(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 9, "max_epochs": 2})
    assignment = wire.claim_one(wire.worker(name))
    assert wire.report(assignment, 2) == "continue"
    assert wire.report(assignment, 3) == "stop"
    assert wire.trial(assignment)["stop_reason"] == "max_epochs"


def test_a_paused_study_hands_out_nothing_and_lets_trials_go_on(wire: Wire) -> None:
    name = wire.study()
    worker = wire.worker(name)
    assignment = wire.claim_one(worker)
    wire.post(f"/studies/{name}:pause")
    assert wire.claim(worker, knows=[assignment]) == []
    assert wire.report(assignment, 1) == "continue"
    assert wire.finish(assignment) == "complete"
    wire.post(f"/studies/{name}:resume")
    assert len(wire.claim(worker)) == 1


def test_a_study_that_finished_while_paused_completes_when_it_is_resumed(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 1, "max_epochs": 2})
    assignment = wire.claim_one(wire.worker(name))
    wire.post(f"/studies/{name}:pause")
    wire.report(assignment, 1)
    wire.finish(assignment)
    assert wire.post(f"/studies/{name}:resume")["state"] == "complete"


def test_a_stopped_study_takes_its_trials_along(wire: Wire) -> None:
    name = wire.study()
    worker = wire.worker(name)
    one, two = wire.claim(worker, 2)
    wire.report(one, 1, 0.3)
    study = wire.post(f"/studies/{name}:stop")
    assert (study["state"], study["end_reason"], study["counts"]) == ("stopped", "stopped", {"cancelled": 2})
    assert (wire.trial(one)["value"], study["best"]["value"]) == (0.3, 0.3)
    assert wire.heartbeat(worker, one, two) == [one["lease"], two["lease"]]
    assert wire.report(two, 1) == "410 lease_lost"
    assert wire.claim(worker) == []
    settled = wire.get(f"/studies/{name}")
    assert wire.post(f"/studies/{name}:stop") == settled == wire.get(f"/studies/{name}")
    for verb in ("pause", "resume"):
        assert wire.refused("POST", f"/studies/{name}:{verb}") == "409 state_conflict"


def test_a_stopped_trial_is_lost_to_its_worker_and_may_be_run_again(wire: Wire) -> None:
    name = wire.study(retries=0, budget={"max_trials": 2, "max_epochs": 5})
    worker = wire.worker(name)
    assignment = wire.claim_one(worker)
    wire.report(assignment, 1)
    assert wire.post(f"/trials/{assignment['trial_id']}:stop")["state"] == "cancelled"
    assert wire.post(f"/trials/{assignment['trial_id']}:stop")["state"] == "cancelled"
    assert wire.report(assignment, 2) == "410 lease_lost"
    assert wire.heartbeat(worker, assignment) == [assignment["lease"]]
    assert wire.finish(assignment) == "cancelled"
    assert wire.post(f"/trials/{assignment['trial_id']}:retry")["state"] == "waiting"
    assert wire.refused("POST", f"/trials/{assignment['trial_id']}:retry") == "409 state_conflict"
    again = wire.claim_one(worker)
    assert (again["trial_id"], again["attempt"]) == (assignment["trial_id"], 2)


def test_a_deleted_study_is_lost_to_its_workers(wire: Wire) -> None:
    name = wire.study()
    worker = wire.worker(name)
    assignment = wire.claim_one(worker)
    assert wire.ask("DELETE", f"/studies/{name}") == (204, None)
    assert wire.report(assignment, 1) == "404 not_found"
    assert wire.heartbeat(worker, assignment) == [assignment["lease"]]
    assert wire.claim(worker) == []
    assert wire.refused("GET", f"/studies/{name}") == "404 not_found"


@pytest.mark.parametrize("budget", [{"max_trials": None}, {"max_epochs": None}])
def test_an_edit_that_would_leave_a_study_without_an_end_is_refused(wire: Wire, budget: dict[str, Any]) -> None:
    name = wire.study()
    before = wire.get(f"/studies/{name}")
    assert wire.refused("PATCH", f"/studies/{name}", {"budget": budget}) == "422 invalid_request"
    assert wire.get(f"/studies/{name}") == before


def test_enqueued_trials_count_against_the_budget(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 1, "max_epochs": 2})
    wire.post(f"/studies/{name}/trials", {"params": {"x": 0.25}})
    body = {"params": {"x": 0.75}}
    assert wire.refused("POST", f"/studies/{name}/trials", body) == "409 state_conflict"
    assert [entry["params"] for entry in wire.claim(wire.worker(name), 5)] == [{"x": 0.25}]


def test_many_claims_at_once_hand_out_no_trial_twice(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 40, "max_epochs": 2, "max_parallel": 33})
    for index in range(5):
        wire.post(f"/studies/{name}/trials", {"params": {"x": index / 10}})
    workers = [wire.worker(name) for _ in range(12)]
    barrier = threading.Barrier(len(workers))

    def claim(worker: str) -> list[Any]:
        barrier.wait()
        held = wire.claim(worker, 2)
        return held + wire.claim(worker, 3, knows=held)

    with ThreadPoolExecutor(len(workers)) as pool:
        assigned = [assignment for held in pool.map(claim, workers) for assignment in held]
    assert len(assigned) == 33
    assert len({assignment["trial_id"] for assignment in assigned}) == 33
    assert len({assignment["lease"] for assignment in assigned}) == 33
    assert sorted(assignment["number"] for assignment in assigned) == list(range(33))


def test_reports_losses_and_claims_at_once_leave_no_trial_behind(wire: Wire) -> None:
    name = wire.study(retries=100, budget={"max_trials": 24, "max_epochs": 2})
    workers = [wire.worker(name) for _ in range(6)]

    def work(worker: str) -> int:
        done = 0
        while assigned := wire.claim(worker, 2):
            for assignment in assigned:
                if assignment["number"] % 3 == 0 and assignment["attempt"] == 1:
                    wire.release(assignment)
                    continue
                assert wire.report(assignment, 1) == "continue"
                assert wire.report(assignment, 2) == "continue"
                assert wire.finish(assignment) == "complete"
                done += 1
        return done

    with ThreadPoolExecutor(len(workers)) as pool:
        pool.map(work, workers)
    # A worker may have found nothing while the last trials were still held by another that then released them.
    total = work(workers[0])
    study = wire.get(f"/studies/{name}")
    assert total >= 0
    assert (study["state"], study["counts"], study["num_epochs"]) == ("complete", {"complete": 24}, 48)


def test_repeating_a_claim_while_it_is_still_being_answered_hands_out_no_trial_twice(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 30, "max_epochs": 2})
    worker = wire.worker(name)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: wire.claim(worker, 3, request=f"impatient-{name}"), range(6)))
    leases = {assignment["lease"] for answer in answers for assignment in answer}
    running = {entry["worker_id"]: entry["running"] for entry in wire.get("/workers")["items"]}[worker]
    assert len(leases) == len(running) <= 3
    final = wire.claim(worker, 3, request=f"impatient-{name}")
    assert sorted(assignment["trial_id"] for assignment in final) == sorted(running)
    wire.advance(LEASE_TTL_S)
