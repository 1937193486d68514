"""Leases on both databases: who gets which trial, fencing by token, expiry, release, and what is charged."""

from __future__ import annotations

import pytest

from tests.service.protocol.wire import LEASE_TTL_S, Wire


def test_a_claim_hands_out_trials_with_all_that_a_worker_needs(wire: Wire) -> None:
    name = wire.study(seed=7, budget={"max_trials": 2, "max_epochs": 9, "max_trial_seconds": 60})
    assignment = wire.claim_one(wire.worker(name))
    assert (assignment["study"], assignment["number"], assignment["attempt"]) == (name, 0, 1)
    assert (assignment["first_epoch"], assignment["max_epochs"], assignment["max_trial_seconds"]) == (1, 9, 60)
    assert assignment["lease_ttl_s"] == LEASE_TTL_S
    assert 0 <= assignment["params"]["x"] <= 1
    trial = wire.trial(assignment)
    assert (trial["state"], trial["attempt"], trial["params"]) == ("running", 1, assignment["params"])


def test_own_trials_come_first_then_lost_and_released_then_enqueued_then_new(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 20, "max_epochs": 5})
    worker, other = wire.worker(name), wire.worker(name)
    released, lost = wire.claim(other, 2)
    held = wire.claim_one(worker)
    kept = wire.claim_one(worker, knows=[held])
    enqueued = wire.post(f"/studies/{name}/trials", {"params": {"x": 0.125}})
    wire.advance(LEASE_TTL_S * 0.6)
    assert wire.heartbeat(worker, held, kept) == []
    assert wire.heartbeat(other, released) == []
    wire.advance(LEASE_TTL_S * 0.6)
    assert wire.trial(lost)["state"] == "waiting"
    assert wire.release(released) == "waiting"
    order = [wire.claim_one(worker, knows=[kept])]
    for _ in range(4):
        order.append(wire.claim_one(worker, knows=[kept, *order]))
    assert [entry["trial_id"] for entry in order[:4]] == [
        held["trial_id"],
        released["trial_id"],
        lost["trial_id"],
        enqueued["trial_id"],
    ]
    assert [entry["attempt"] for entry in order] == [2, 2, 2, 1, 1]
    assert order[3]["params"] == {"x": 0.125}
    assert order[4]["number"] == 5


def test_the_same_request_gets_the_same_answer(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 9, "max_epochs": 5})
    worker, other = wire.worker(name), wire.worker(name)
    first = wire.claim(worker, 3, request="again")
    assert len(first) == 3
    assert wire.claim(worker, 3, request="again") == first
    assert wire.claim(worker, 3, request="again", knows=first) == first
    # Another worker may use the same word.
    assert not {a["lease"] for a in wire.claim(other, 3, request="again")} & {a["lease"] for a in first}
    assert len(wire.get(f"/studies/{name}/trials")["items"]) == 6


def test_a_repeated_claim_renews_what_it_hands_out_and_leaves_out_what_has_ended(wire: Wire) -> None:
    name = wire.study()
    worker = wire.worker(name)
    ended, going = wire.claim(worker, 2, request="again-later")
    wire.report(ended, 1)
    assert wire.finish(ended) == "complete"
    wire.advance(LEASE_TTL_S * 0.6)
    assert wire.claim(worker, 2, request="again-later") == [going]
    wire.advance(LEASE_TTL_S * 0.6)
    assert wire.trial(going)["state"] == "running"


def test_a_claim_may_wait_until_there_is_work(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 1, "max_epochs": 5})
    worker, other = wire.worker(name), wire.worker(name)
    held = wire.claim_one(other)
    waiting = wire.begin_claim(worker, 30)
    assert not waiting.done()
    assert wire.release(held) == "waiting"
    assert [entry["trial_id"] for entry in waiting.result(30)] == [held["trial_id"]]


def test_a_claim_that_was_given_up_neither_takes_nor_loses_what_the_worker_gets_later(wire: Wire) -> None:
    name = wire.study(retries=0, budget={"max_trials": 2, "max_epochs": 5})
    worker, other = wire.worker(name), wire.worker(name)
    one, two = wire.claim(other, 2)
    given_up = wire.begin_claim(worker, 30)
    waiting = wire.begin_claim(worker, 30)
    assert wire.release(one) == "waiting"
    assert [entry["trial_id"] for entry in waiting.result(30)] == [one["trial_id"]]
    assert wire.release(two) == "waiting"
    assert given_up.result(30) == []
    assert [wire.trial(entry)["state"] for entry in (one, two)] == ["running", "waiting"]


def test_a_trial_is_held_by_one_worker_at_a_time(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 1, "max_epochs": 5})
    first, second = wire.worker(name), wire.worker(name)
    assignment = wire.claim_one(first)
    assert wire.claim(second) == []
    running = {entry["worker_id"]: entry["running"] for entry in wire.get("/workers")["items"]}
    assert (running[first], running[second]) == ([assignment["trial_id"]], [])


def test_workers_get_only_trials_of_objectives_that_they_offer(wire: Wire) -> None:
    name = wire.study()
    assert wire.claim(wire.worker(f"other-{name}")) == []
    assert wire.claim_one(wire.worker(f"other-{name}", name))["study"] == name


@pytest.mark.parametrize("sign", ["report", "heartbeat"])
def test_a_sign_of_life_renews_a_lease(wire: Wire, sign: str) -> None:
    name = wire.study()
    worker = wire.worker(name)
    assignment = wire.claim_one(worker)
    for epoch in range(1, 4):
        wire.advance(LEASE_TTL_S * 0.9)
        if sign == "report":
            assert wire.report(assignment, epoch) == "continue"
        else:
            assert wire.heartbeat(worker, assignment) == []
    assert wire.trial(assignment)["state"] == "running"
    wire.advance(LEASE_TTL_S)
    assert wire.trial(assignment)["state"] == "waiting"
    assert wire.heartbeat(worker, assignment) == [assignment["lease"]]


def test_a_worker_cannot_renew_the_lease_of_another(wire: Wire) -> None:
    name = wire.study()
    worker, other = wire.worker(name), wire.worker(name)
    assignment = wire.claim_one(worker)
    assert wire.heartbeat(other, assignment) == [assignment["lease"]]
    assert wire.heartbeat(worker, assignment) == []


def test_a_zombie_changes_nothing(wire: Wire) -> None:
    name = wire.study()
    zombie, successor = wire.worker(name), wire.worker(name)
    old = wire.claim_one(zombie)
    assert wire.report(old, 1, 0.9) == "continue"
    assert wire.report(old, 2, 0.8) == "continue"
    wire.advance(LEASE_TTL_S)
    new = wire.claim_one(successor)
    assert (new["trial_id"], new["attempt"], new["params"], new["seed"]) == (
        old["trial_id"],
        2,
        old["params"],
        old["seed"],
    )
    assert new["lease"] != old["lease"]
    assert wire.report(new, 1, 0.7) == "continue"
    before = wire.trial(new)
    events = wire.get(f"/studies/{name}")["last_event_seq"]
    assert wire.report(old, 1, 0.9) == "410 lease_lost"
    assert wire.report(old, 3, 0.01) == "410 lease_lost"
    assert wire.finish(old) == "410 lease_lost"
    assert wire.finish(old, "failed") == "410 lease_lost"
    assert wire.release(old) == "410 lease_lost"
    assert wire.heartbeat(zombie, old) == [old["lease"]]
    assert wire.trial(new) == before
    assert wire.get(f"/studies/{name}")["last_event_seq"] == events
    assert wire.stored(new["trial_id"]) == [(2, 1, 0.7)]
    assert wire.stored(new["trial_id"], attempts="all") == [(1, 1, 0.9), (2, 1, 0.7), (1, 2, 0.8)]


def test_losses_and_failures_are_charged_and_releases_are_not(wire: Wire) -> None:
    name = wire.study(retries=2, budget={"max_trials": 1, "max_epochs": 5})
    worker = wire.worker(name)
    for _ in range(4):
        assert wire.release(wire.claim_one(worker)) == "waiting"
    assert wire.finish(wire.claim_one(worker), "failed") == "waiting"
    lost = wire.claim_one(worker)
    wire.advance(LEASE_TTL_S)
    assert wire.trial(lost)["state"] == "waiting"
    last = wire.claim_one(worker)
    assert last["attempt"] == 7
    assert wire.finish(last, "stalled") == "failed"
    trial = wire.trial(last)
    assert (trial["stop_reason"], trial["attempt"]) == ("time_limit", 7)
    assert [entry["end"] for entry in trial["attempts"]] == ["released"] * 4 + ["finished", "expired", "finished"]
    assert wire.get(f"/studies/{name}")["state"] == "complete"


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_trial_that_is_lost_once_too_often_has_failed(wire: Wire, retries: int) -> None:
    name = wire.study(retries=retries, budget={"max_trials": 1, "max_epochs": 5})
    worker = wire.worker(name)
    for attempt in range(1, retries + 2):
        assignment = wire.claim_one(worker)
        assert assignment["attempt"] == attempt
        wire.advance(LEASE_TTL_S)
    trial = wire.trial(assignment)
    assert (trial["state"], trial["stop_reason"]) == ("failed", "lost")
    assert wire.claim(worker) == []
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"]) == ("complete", "max_trials")


@pytest.mark.parametrize(("outcome", "reason"), [("diverged", "diverged"), ("infeasible", "infeasible")])
def test_what_another_attempt_would_only_repeat_is_not_tried_again(wire: Wire, outcome: str, reason: str) -> None:
    name = wire.study(retries=5)
    assignment = wire.claim_one(wire.worker(name))
    assert wire.finish(assignment, outcome) == "failed"
    assert wire.trial(assignment)["stop_reason"] == reason
    assert wire.finish(assignment, outcome) == "failed"


def test_a_finish_may_be_repeated_but_not_changed(wire: Wire) -> None:
    name = wire.study()
    assignment = wire.claim_one(wire.worker(name))
    wire.report(assignment, 1)
    assert wire.finish(assignment) == "complete"
    before = wire.trial(assignment)
    assert wire.finish(assignment) == "complete"
    assert wire.finish(assignment, "failed") == "409 state_conflict"
    assert wire.release(assignment) == "410 lease_lost"
    assert wire.trial(assignment) == before
    assert (before["stop_reason"], before["value"], before["best_epoch"]) == ("early_stopped", 0.5, 1)


def test_a_failed_attempt_may_be_reported_twice_and_is_charged_once(wire: Wire) -> None:
    name = wire.study(retries=1, budget={"max_trials": 1, "max_epochs": 5})
    worker = wire.worker(name)
    first = wire.claim_one(worker)
    assert wire.finish(first, "failed") == "waiting"
    assert wire.finish(first, "failed") == "waiting"
    second = wire.claim_one(worker)
    assert wire.finish(first, "failed") == "running"
    assert wire.finish(second, "failed") == "failed"


def test_a_release_may_be_repeated(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 1, "max_epochs": 5})
    worker = wire.worker(name)
    first = wire.claim_one(worker)
    assert wire.release(first) == "waiting"
    assert wire.release(first) == "waiting"
    second = wire.claim_one(worker)
    assert wire.release(first) == "running"
    assert wire.report(second, 1) == "continue"
    assert wire.finish(first) == "410 lease_lost"


def test_completing_without_an_epoch_is_a_failure(wire: Wire) -> None:
    name = wire.study(retries=0)
    assignment = wire.claim_one(wire.worker(name))
    assert wire.finish(assignment) == "failed"
    assert wire.trial(assignment)["error"]["kind"] == "NothingReported"


def test_nobody_can_write_with_the_token_of_another_trial(wire: Wire) -> None:
    name = wire.study()
    one, other = wire.claim(wire.worker(name), 2)
    crossed = other | {"lease": one["lease"]}
    assert wire.report(crossed, 1) == "410 lease_lost"
    assert wire.finish(crossed) == "410 lease_lost"
    assert wire.release(crossed) == "410 lease_lost"
    assert wire.stored(one["trial_id"]) == wire.stored(other["trial_id"]) == []


@pytest.mark.parametrize("trial_id", [999_999, 2**31, 2**53 - 1])
def test_trials_that_do_not_exist_are_not_found(wire: Wire, trial_id: int) -> None:
    ghost = {"trial_id": trial_id, "lease": "t"}
    assert wire.report(ghost, 1) == "404 not_found"
    assert wire.finish(ghost) == "404 not_found"
    assert wire.release(ghost) == "404 not_found"
    assert wire.refused("GET", f"/trials/{trial_id}") == "404 not_found"
    assert wire.refused("POST", f"/trials/{trial_id}:stop") == "404 not_found"
    assert wire.refused("POST", f"/trials/{trial_id}:retry") == "404 not_found"


def test_workers_that_never_registered_are_not_found(wire: Wire) -> None:
    assert wire.refused("POST", "/workers/nobody:claim", {"request_id": "r"}) == "404 not_found"
    assert wire.refused("POST", "/workers/nobody:heartbeat", {"leases": []}) == "404 not_found"


def test_a_restart_of_the_service_gives_every_lease_a_full_term_and_forgets_nothing(wire: Wire) -> None:
    name = wire.study()
    worker = wire.worker(name)
    assignment = wire.claim_one(worker)
    assert wire.report(assignment, 1, 0.4) == "continue"
    wire.stop()
    wire.clock.advance(10 * LEASE_TTL_S)
    wire.start()
    assert wire.report(assignment, 1, 0.4) == "continue"
    assert wire.report(assignment, 2, 0.3) == "continue"
    assert wire.finish(assignment) == "complete"
    assert wire.stored(assignment["trial_id"]) == [(1, 1, 0.4), (1, 2, 0.3)]


@pytest.mark.parametrize(
    ("name", "refusal"), [("a%00b", "404 not_found"), ("%ff", "400 bad_request"), ("A", "404 not_found")]
)
def test_names_that_no_database_could_store_are_refused(wire: Wire, name: str, refusal: str) -> None:
    assert wire.refused("GET", f"/studies/{name}") == refusal
    assert wire.refused("POST", f"/studies/{name}:stop") == refusal
    assert wire.refused("POST", f"/workers/{name}:claim", {"request_id": "r"}) == refusal
    assert wire.refused("POST", f"/workers/{name}:heartbeat", {"leases": []}) == refusal


@pytest.mark.parametrize("page", ["trials", "curves", "leaderboard"])
def test_positions_beyond_every_list_are_empty_or_refused(wire: Wire, page: str) -> None:
    name = wire.study()
    wire.claim_one(wire.worker(name))
    assert wire.get(f"/studies/{name}/{page}?after=2147483647")["items"] == []
    for after in (2**31, 2**53 - 1, 2**53, 10**30):
        status, answer = wire.ask("GET", f"/studies/{name}/{page}?after={after}")
        assert status in (200, 422)
        assert status == 422 or answer["items"] == []
    assert wire.ask("GET", "/studies?after=a%00b")[0] == 422


@pytest.mark.parametrize("depth", [100, 100_000])
def test_a_body_nested_without_end_is_refused(wire: Wire, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    body = '{"name": "a", "objective": {"name": "mlp", "config": {"a": ' + nested + "}}}"
    answer = wire.client.post("/api/v1/studies", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("bad_request", "invalid_request")
