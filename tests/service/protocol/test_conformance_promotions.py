"""Pauses and promotions on both databases: rungs, checkpoints, evidence, and how studies with paused trials end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.protocol.wire import LEASE_TTL_S, Wire, item

ASHA = {"kind": "asha", "min_resource": 2, "reduction_factor": 2}


def _study(wire: Wire, **changes: Any) -> str:
    """A study of 9 epochs with rungs at 2, 4 and 8, of which one in two goes on."""
    budget = {"max_trials": 20, "max_epochs": 9} | changes.pop("budget", {})
    return wire.study(**({"pruner": ASHA, "budget": budget} | changes))


def _report(wire: Wire, assignment: Any, epoch: int, value: float, **flags: bool) -> str:
    """The decision after an epoch of which the worker keeps a checkpoint, unless told otherwise."""
    body = {"items": [item(assignment, epoch, value) | {"checkpoint": True} | flags]}
    [decision] = wire.post("/measurements", body)["decisions"]
    return str(decision["decision"])


def _train(wire: Wire, assignment: Any, value: float, *, last: int = 9, **flags: bool) -> str:
    """Train until something is decided, at most to an epoch; values fall by 0.01 an epoch, down to the given one."""
    for epoch in range(assignment["first_epoch"], last + 1):
        decision = _report(wire, assignment, epoch, value + 0.01 * (9 - epoch), **flags)
        if decision != "continue":
            return decision
    return "continue"


def _paused(wire: Wire, name: str, worker: str, *values: float) -> list[Any]:
    """Trials that were paused at the first rung, with these values in the end."""
    assigned = wire.claim(worker, len(values))
    assert [_train(wire, one, value) for one, value in zip(assigned, values, strict=True)] == ["pause"] * len(values)
    assert wire.get(f"/studies/{name}")["counts"]["paused"] >= len(values)
    return assigned


def test_at_a_rung_a_trial_is_paused_and_its_lease_is_gone(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    assignment = wire.claim_one(worker)
    assert (assignment["checkpoint"], assignment["checkpoint_epochs"]) == (None, [2, 4, 8])
    assert _report(wire, assignment, 1, 0.5) == "continue"
    assert _report(wire, assignment, 2, 0.4) == "pause"
    trial = wire.trial(assignment)
    assert (trial["state"], trial["stop_reason"], trial["checkpoint_epoch"]) == ("paused", None, 2)
    assert (trial["value"], trial["best_epoch"], trial["num_epochs"]) == (0.4, 2, 2)
    assert [entry["end"] for entry in trial["attempts"]] == ["paused"]
    assert wire.heartbeat(worker, assignment) == [assignment["lease"]]
    wire.advance(LEASE_TTL_S * 2)
    assert wire.trial(assignment)["state"] == "paused", "a trial that nobody holds cannot be lost"


def test_a_pause_may_be_asked_for_again_and_nothing_else_is_taken(wire: Wire) -> None:
    name = _study(wire)
    [assignment] = _paused(wire, name, wire.worker(name), 0.3)
    before = (wire.trial(assignment), wire.get(f"/studies/{name}"))
    assert wire.report(assignment, 2, 0.3 + 0.01 * 7) == "pause"
    assert wire.report(assignment, 2, 0.1) == "410 lease_lost"
    assert wire.report(assignment, 3, 0.1) == "410 lease_lost"
    assert wire.finish(assignment) == "paused"
    assert wire.release(assignment) == "paused"
    assert (wire.trial(assignment), wire.get(f"/studies/{name}")) == before


def test_a_promoted_trial_goes_on_from_its_checkpoint(wire: Wire) -> None:
    name = _study(wire)
    first, second = wire.worker(name), wire.worker(name)
    better, worse = _paused(wire, name, first, 0.2, 0.5)
    again = wire.claim_one(second)
    assert (again["trial_id"], again["attempt"]) == (better["trial_id"], 2)
    assert (again["params"], again["seed"]) == (better["params"], better["seed"])
    assert (again["first_epoch"], again["checkpoint"]["epoch"], again["checkpoint_epochs"]) == (3, 2, [4, 8])
    trial = wire.trial(again)
    assert (trial["state"], trial["value"], trial["best_epoch"], trial["num_epochs"]) == (
        "running",
        pytest.approx(0.27),
        2,
        2,
    )
    assert _report(wire, again, 3, 0.9) == "continue"
    assert wire.trial(again)["best_epoch"] == 2
    assert _report(wire, again, 4, 0.1) == "pause", "nobody else has come there yet"
    assert [entry[:2] for entry in wire.stored(again["trial_id"])] == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert wire.report(better, 2, 0.27) == "pause", "the first attempt still hears what it was told"
    assert wire.trial(worse)["state"] == "paused"


def test_epochs_before_the_checkpoint_are_another_attempt_s(wire: Wire) -> None:
    name = _study(wire)
    _paused(wire, name, wire.worker(name), 0.2, 0.5)
    again = wire.claim_one(wire.worker(name))
    before = (wire.trial(again), wire.stored(again["trial_id"]))
    assert wire.report(again, 1, 0.01) == "422 invalid_request"
    assert wire.report(again, 2, 0.01) == "422 invalid_request"
    assert (wire.trial(again), wire.stored(again["trial_id"])) == before


def test_a_paused_trial_is_done_where_the_last_epoch_was_moved_before_it(wire: Wire) -> None:
    name = _study(wire)
    _paused(wire, name, wire.worker(name), 0.2, 0.5)
    worker = wire.worker(name)
    again = wire.claim_one(worker)
    assert _train(wire, again, 0.1) == "pause"
    assert wire.ask("PATCH", f"/studies/{name}", {"budget": {"max_epochs": 3}})[0] == 200
    assert all(entry["first_epoch"] <= 3 for _ in range(3) for entry in wire.claim(worker, 1))
    trial = wire.trial(again)
    assert (trial["state"], trial["stop_reason"], trial["num_epochs"]) == ("complete", "max_epochs", 4)
    assert trial["evidence"] == {"rule": "max_epochs", "epoch": 4, "threshold": 3}


def test_new_trials_begin_when_no_paused_one_is_good_enough(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    _paused(wire, name, worker, 0.2, 0.5)
    kinds = [wire.claim_one(worker)]
    kinds += wire.claim(worker, 2, knows=kinds)
    assert [(entry["number"], entry["attempt"]) for entry in kinds] == [(0, 2), (2, 1), (3, 1)]


def test_waiting_trials_come_before_promotions_and_these_before_new_ones(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    released = wire.claim_one(worker)
    [_, _] = _paused_beside(wire, worker, released)
    assert wire.release(released) == "waiting"
    enqueued = wire.post(f"/studies/{name}/trials", {"params": {"x": 0.5}})
    order = [entry["trial_id"] for entry in wire.claim(worker, 4)]
    assert order[:2] == [released["trial_id"], enqueued["trial_id"]]
    assert [wire.get(f"/trials/{trial_id}")["number"] for trial_id in order[2:]] == [1, 4]


def _paused_beside(wire: Wire, worker: str, held: Any) -> list[Any]:
    assigned = wire.claim(worker, 2, knows=[held])
    assert [_train(wire, one, value) for one, value in zip(assigned, (0.2, 0.5), strict=True)] == ["pause"] * 2
    return assigned


def test_one_that_would_be_next_does_not_pause_at_all(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    one, two = wire.claim(worker, 2)
    assert _train(wire, one, 0.5) == "pause"
    assert _train(wire, two, 0.2, last=3) == "continue"
    [entry] = wire.trial(two)["decisions"]
    assert (entry["decision"], entry["epoch"], entry["evidence"]["rank"], entry["evidence"]["kept"]) == (
        "continue",
        2,
        1,
        1,
    )


def test_every_decision_is_kept_with_its_evidence(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    better, _ = _paused(wire, name, worker, 0.2, 0.5)
    again = wire.claim_one(worker)
    assert _train(wire, again, 0.2) == "pause"
    trial = wire.trial(better)
    assert [(entry["attempt"], entry["epoch"], entry["decision"]) for entry in trial["decisions"]] == [
        (1, 2, "pause"),
        (2, 2, "promote"),
        (2, 4, "pause"),
    ]
    first, promotion, last = (entry["evidence"] for entry in trial["decisions"])
    assert (first["rule"], first["rung"], first["peers"], first["kept"], first["threshold"]) == ("asha", 2, 0, 0, None)
    assert promotion == {
        "rule": "asha",
        "epoch": 2,
        "rung": 2,
        "value": pytest.approx(0.27),
        "threshold": pytest.approx(0.27),
        "rank": 1,
        "kept": 1,
        "peers": 1,
    }
    assert (last["rung"], last["value"]) == (4, pytest.approx(0.25))


def test_without_the_checkpoint_it_begins_again_and_does_not_pause_there_twice(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    _paused(wire, name, worker, 0.2, 0.5)
    promoted = wire.claim_one(worker)
    body = {"lease": promoted["lease"], "is_checkpoint_missing": True}
    assert wire.post(f"/trials/{promoted['trial_id']}:release", body)["state"] == "waiting"
    again = wire.claim_one(worker)
    assert (again["trial_id"], again["attempt"], again["first_epoch"]) == (promoted["trial_id"], 3, 1)
    assert (again["checkpoint"], again["checkpoint_epochs"]) == (None, [4, 8])
    assert wire.trial(again)["value"] is None
    assert [_report(wire, again, epoch, 0.4) for epoch in (1, 2, 3)] == ["continue"] * 3
    assert _report(wire, again, 4, 0.4) == "pause"
    assert [entry[:2] for entry in wire.stored(again["trial_id"])] == [(3, 1), (3, 2), (3, 3), (3, 4)]


def test_a_worker_without_checkpoints_trains_promoted_trials_from_the_beginning(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    one, two = wire.claim(worker, 2)
    assert [_train(wire, entry, value, checkpoint=False) for entry, value in ((one, 0.2), (two, 0.5))] == ["pause"] * 2
    again = wire.claim_one(worker)
    assert (again["trial_id"], again["first_epoch"], again["checkpoint"]) == (one["trial_id"], 1, None)
    assert _train(wire, again, 0.2, checkpoint=False) == "pause"
    assert wire.trial(one)["num_epochs"] == 4


def test_a_lost_trial_goes_on_from_its_last_checkpoint(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    _paused(wire, name, worker, 0.2, 0.5)
    promoted = wire.claim_one(worker)
    assert _report(wire, promoted, 3, 0.1, checkpoint=False) == "continue"
    wire.advance(LEASE_TTL_S)
    assert wire.trial(promoted)["state"] == "waiting"
    again = wire.claim_one(wire.worker(name))
    assert (again["trial_id"], again["attempt"], again["first_epoch"]) == (promoted["trial_id"], 3, 3)
    trial = wire.trial(again)
    assert (trial["value"], trial["num_epochs"]) == (pytest.approx(0.27), 2), "epoch 3 is trained again"
    assert wire.report(promoted, 4, 0.1) == "410 lease_lost"
    assert _report(wire, again, 3, 0.3) == "continue"
    assert [entry[:2] for entry in wire.stored(again["trial_id"])] == [(1, 1), (1, 2), (3, 3)]
    assert wire.stored(again["trial_id"], attempts="all")[2:] == [(2, 3, 0.1), (3, 3, 0.3)]


def test_the_last_measurement_of_a_training_is_never_paused(wire: Wire) -> None:
    name = _study(wire)
    assignment = wire.claim_one(wire.worker(name))
    assert _report(wire, assignment, 1, 0.5) == "continue"
    assert _report(wire, assignment, 2, 0.5, is_last=True) == "continue"
    assert wire.finish(assignment) == "complete"
    assert wire.trial(assignment)["stop_reason"] == "early_stopped"


def test_a_heartbeat_tells_which_checkpoints_nobody_needs(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    paused, stopped = _paused(wire, name, worker, 0.2, 0.5)
    running = wire.claim_one(worker)
    assert running["trial_id"] == paused["trial_id"]
    wire.post(f"/trials/{stopped['trial_id']}:stop")
    ids = [paused["trial_id"], stopped["trial_id"], 987_654, 2**53 - 1]
    answer = wire.post(f"/workers/{worker}:heartbeat", {"leases": [running["lease"]], "checkpoints": ids})
    assert (answer["lost"], answer["discard"]) == ([], ids[1:])
    assert wire.trial(stopped)["state"] == "cancelled"


@pytest.mark.parametrize("end", ["max_total_epochs", "max_seconds", "target", "stopped"])
def test_what_is_paused_when_the_study_ends_was_pruned(wire: Wire, end: str) -> None:
    limits: dict[str, Any] = {"max_total_epochs": 6, "max_seconds": 1000, "target": 0.01}
    name = _study(wire, budget={end: limits[end]} if end in limits else {})
    worker = wire.worker(name)
    _, worse = _paused(wire, name, worker, 0.2, 0.5)
    better = wire.claim_one(worker)
    if end == "max_total_epochs":
        assert _train(wire, better, 0.2, last=4) == "stop"
    elif end == "target":
        assert _report(wire, better, 3, 0.005) == "stop"
    elif end == "max_seconds":
        wire.clock.advance(1000)
        wire.tick()
    else:
        wire.post(f"/studies/{name}:stop")
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"]) == ("stopped" if end == "stopped" else "complete", end)
    trial = wire.trial(worse)
    assert (trial["state"], trial["stop_reason"], trial["value"]) == ("pruned", "pruned", pytest.approx(0.57))
    assert (trial["evidence"]["rule"], trial["evidence"]["rung"]) == ("asha", 2)
    assert trial["evidence"]["study_ended"] == end
    assert [entry["end"] for entry in trial["attempts"]] == ["paused"]
    assert not wire.get(f"/studies/{name}")["counts"].get("paused")


def test_a_study_ends_by_itself_once_nothing_is_left_to_promote(wire: Wire) -> None:
    name = _study(wire, budget={"max_trials": 3})
    worker = wire.worker(name)
    trained = []
    for _ in range(20):
        assigned = wire.claim(worker)
        if not assigned:
            break
        [assignment] = assigned
        trained.append((assignment["number"], assignment["first_epoch"]))
        if _train(wire, assignment, 0.1 + assignment["number"] / 10) == "continue":
            assert wire.finish(assignment) == "complete"
        assert wire.get(f"/studies/{name}")["state"] == "running" or wire.claim(worker) == []
    # The best one goes all the way: by right from the first rung, at the last call from the others.
    assert trained == [(0, 1), (1, 1), (0, 3), (2, 1), (0, 5), (0, 9)]
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["counts"]) == (
        "complete",
        "max_trials",
        {"complete": 1, "pruned": 2},
    )
    assert study["num_epochs"] == 9 + 2 + 2
    [promotion] = [entry for entry in wire.trial(assignment)["decisions"] if entry["attempt"] == 4][:1]
    assert (promotion["decision"], promotion["evidence"]["last_call"]) == ("promote", True)


def test_nobody_is_sent_on_by_the_last_call_while_another_trial_runs(wire: Wire) -> None:
    name = _study(wire, budget={"max_trials": 2})
    worker, other = wire.worker(name), wire.worker(name)
    running = wire.claim_one(other)
    paused = wire.claim_one(worker)
    assert _train(wire, paused, 0.2) == "pause"
    assert wire.claim(worker) == []
    assert wire.get(f"/studies/{name}")["state"] == "running"
    waiting = wire.begin_claim(worker, 30)
    assert _train(wire, running, 0.5) == "pause"
    assert [entry["trial_id"] for entry in waiting.result(30)] == [paused["trial_id"]]


def test_a_study_that_gains_nothing_more_ends(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 20, "max_epochs": 1, "max_stagnant_trials": 3})
    worker = wire.worker(name)
    for value in (0.5, 0.4, 0.6, 0.4, 0.7):
        assignment = wire.claim_one(worker)
        wire.report(assignment, 1, value)
        assert wire.finish(assignment) == "complete"
    assert wire.claim(worker) == []
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["num_trials"]) == ("complete", "stagnation", 5)


def test_a_gain_of_a_promoted_trial_lets_a_stagnant_study_go_on(wire: Wire) -> None:
    name = _study(wire, budget={"max_stagnant_trials": 2})
    worker = wire.worker(name)
    _paused(wire, name, worker, 0.2, 0.5)
    promoted = wire.claim_one(worker)
    third = wire.claim_one(worker, knows=[promoted])
    assert _train(wire, third, 0.6) == "pause"
    assert wire.claim(worker, knows=[promoted]) == [], "two have gained nothing since the first one"
    assert wire.get(f"/studies/{name}")["state"] == "running"
    assert _report(wire, promoted, 3, 0.1) == "continue"
    assert wire.claim_one(worker, knows=[promoted])["number"] == 3


def test_a_small_space_ends_the_study_once_all_of_it_was_tried(wire: Wire) -> None:
    space = {"n": {"type": "int", "low": 1, "high": 3}}
    name = _study(wire, space=space)
    worker = wire.worker(name)
    assigned = wire.claim(worker, 5)
    assert sorted(entry["params"]["n"] for entry in assigned) == [1, 2, 3]
    for entry in assigned:
        assert wire.get(f"/studies/{name}")["state"] == "running"
        assert _train(wire, entry, entry["number"] / 10, is_last=True) == "continue"
        assert wire.finish(entry) == "complete"
    assert wire.claim(worker) == []
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["num_trials"]) == ("complete", "space_exhausted", 3)


def test_a_paused_trial_may_be_stopped_but_not_run_anew(wire: Wire) -> None:
    name = _study(wire)
    worker = wire.worker(name)
    one, two = _paused(wire, name, worker, 0.2, 0.5)
    assert wire.refused("POST", f"/trials/{one['trial_id']}:retry") == "409 state_conflict"
    assert wire.post(f"/trials/{one['trial_id']}:stop")["state"] == "cancelled"
    assert wire.trial(one)["attempts"][0]["end"] == "paused"
    [assignment] = wire.claim(worker)
    assert assignment["number"] == 2, "the best of two is gone, and the other is not good enough"
    assert wire.trial(two)["state"] == "paused"


def test_a_restart_loses_no_rung_no_paused_trial_and_no_round(wire: Wire) -> None:
    strategy = {"kind": "coarse_to_fine", "startup_trials": 4, "min_elite": 2, "round_size": 3}
    names = [_study(wire, strategy=strategy, seed=5) for _ in range(2)]
    played = [_play(wire, name, restarts=restarts) for name, restarts in zip(names, (False, True), strict=True)]
    straight, restarted = played
    assert restarted == straight
    assert len(straight[1]) > 2
    assert any(first_epoch > 1 for _, first_epoch, _ in straight[0])


def _play(wire: Wire, name: str, *, restarts: bool) -> tuple[list[Any], list[Any]]:
    """What was handed out, and the rounds."""
    worker = wire.worker(name)
    handed_out = []
    for step in range(14):
        if restarts and step % 3 == 2:
            wire.restart()
        assignment = wire.claim_one(worker)
        handed_out.append((assignment["number"], assignment["first_epoch"], assignment["params"]))
        if _train(wire, assignment, abs(assignment["params"]["x"] - 0.3)) == "continue":
            assert wire.finish(assignment) == "complete"
    rounds = wire.get(f"/studies/{name}/rounds")["items"]
    return handed_out, [{key: value for key, value in entry.items() if key != "opened_at"} for entry in rounds]
