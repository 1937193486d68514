"""Measurements on both databases: stored once, never changed, decided upon."""

from __future__ import annotations

import pytest

from tests.service.protocol.wire import Wire, item


def test_equal_repeats_change_nothing(wire: Wire) -> None:
    name = wire.study()
    assignment = wire.claim_one(wire.worker(name))
    assert wire.report(assignment, 1, 0.5) == "continue"
    before = (wire.get(f"/studies/{name}"), wire.trial(assignment))
    for _ in range(3):
        assert wire.report(assignment, 1, 0.5) == "continue"
    assert (wire.get(f"/studies/{name}"), wire.trial(assignment)) == before
    assert wire.stored(assignment["trial_id"], attempts="all") == [(1, 1, 0.5)]


def test_another_value_for_a_stored_epoch_is_a_conflict(wire: Wire) -> None:
    name = wire.study()
    assignment = wire.claim_one(wire.worker(name))
    assert wire.report(assignment, 1, 0.5) == "continue"
    assert wire.report(assignment, 1, 0.25) == "409 report_conflict"
    body = {"items": [item(assignment, 1, 0.5, val_accuracy=0.9)]}
    assert wire.refused("POST", "/measurements", body) == "409 report_conflict"
    assert wire.stored(assignment["trial_id"]) == [(1, 1, 0.5)]
    assert wire.trial(assignment)["value"] == 0.5


def test_a_report_holds_many_epochs_of_many_trials(wire: Wire) -> None:
    name = wire.study()
    one, two = wire.claim(wire.worker(name), 2)
    answer = wire.post(
        "/measurements", {"items": [item(one, 1), item(two, 1), item(one, 2), item(two, 2), item(one, 3)]}
    )
    assert sorted(entry["trial_id"] for entry in answer["decisions"]) == sorted([one["trial_id"], two["trial_id"]])
    assert answer["rejected"] == []
    assert [entry[1] for entry in wire.stored(one["trial_id"])] == [1, 2, 3]
    assert [entry[1] for entry in wire.stored(two["trial_id"])] == [1, 2]
    assert wire.get(f"/studies/{name}")["num_epochs"] == 5


def test_what_cannot_be_stored_is_rejected_beside_what_can(wire: Wire) -> None:
    name = wire.study()
    worker = wire.worker(name)
    good, gone = wire.claim(worker, 2)
    assert wire.release(gone) == "waiting"
    assert wire.report(good, 1, 0.5) == "continue"
    lacking = item(good, 3) | {"metrics": {"loss": 0.1}}
    ghost = item({"trial_id": 999_999, "lease": "t"}, 1)
    answer = wire.post("/measurements", {"items": [item(gone, 1), item(good, 1, 0.4), item(good, 2), lacking, ghost]})
    assert [entry["trial_id"] for entry in answer["decisions"]] == [good["trial_id"]]
    assert [(entry["trial_id"], entry["epoch"], entry["code"]) for entry in answer["rejected"]] == [
        (gone["trial_id"], 1, "lease_lost"),
        (good["trial_id"], 1, "report_conflict"),
        (good["trial_id"], 3, "invalid_request"),
        (999_999, 1, "not_found"),
    ]
    assert [entry[1:] for entry in wire.stored(good["trial_id"])] == [(1, 0.5), (2, 0.5)]
    assert wire.stored(gone["trial_id"]) == []


def test_a_report_of_which_nothing_can_be_stored_is_the_problem_of_its_first_item(wire: Wire) -> None:
    name = wire.study()
    assignment = wire.claim_one(wire.worker(name))
    lacking = item(assignment, 1) | {"metrics": {"loss": 0.1}}
    ghost = item({"trial_id": 999_999, "lease": "t"}, 1)
    assert wire.refused("POST", "/measurements", {"items": [lacking, ghost]}) == "422 invalid_request"
    assert wire.refused("POST", "/measurements", {"items": [ghost, lacking]}) == "404 not_found"


@pytest.mark.parametrize(("direction", "best", "epoch"), [("minimize", 0.2, 2), ("maximize", 0.6, 4)])
def test_the_best_value_counts_at_its_earliest_epoch(wire: Wire, direction: str, best: float, epoch: int) -> None:
    name = wire.study(metric={"name": "val_loss", "direction": direction})
    assignment = wire.claim_one(wire.worker(name))
    for number, value in enumerate([0.5, 0.2, 0.2, 0.6, 0.6], start=1):
        assert wire.report(assignment, number, value) == "continue"
    assert wire.finish(assignment) == "complete"
    trial = wire.trial(assignment)
    assert (trial["value"], trial["best_epoch"], trial["num_epochs"]) == (best, epoch, 5)
    assert trial["stop_reason"] == "max_epochs"
    assert wire.get(f"/studies/{name}")["best"]["value"] == best


def test_a_new_attempt_begins_with_an_empty_curve_and_the_old_one_stays_on_record(wire: Wire) -> None:
    name = wire.study()
    worker = wire.worker(name)
    first = wire.claim_one(worker)
    for epoch, value in [(1, 0.9), (2, 0.01)]:
        wire.report(first, epoch, value)
    wire.release(first)
    second = wire.claim_one(worker)
    assert wire.trial(second)["value"] is None
    assert wire.stored(second["trial_id"]) == []
    assert wire.report(second, 1, 0.8) == "continue"
    trial = wire.trial(second)
    assert (trial["value"], trial["best_epoch"], trial["num_epochs"]) == (0.8, 1, 1)
    assert wire.stored(second["trial_id"], attempts="all") == [(1, 1, 0.9), (2, 1, 0.8), (1, 2, 0.01)]
    assert wire.get(f"/studies/{name}")["num_epochs"] == 3


def test_numbers_come_back_bit_for_bit(wire: Wire) -> None:
    name = wire.study()
    assignment = wire.claim_one(wire.worker(name))
    values = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3]
    for epoch, value in enumerate(values, start=1):
        wire.report(assignment, epoch, value)
    assert [repr(entry[2]) for entry in wire.stored(assignment["trial_id"])] == [repr(value) for value in values]


def test_the_answer_that_stopped_a_trial_can_be_had_again(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 2, "max_epochs": 5, "target": 0.1})
    assignment, other = wire.claim(wire.worker(name), 2)
    assert wire.report(assignment, 1, 0.5) == "continue"
    assert wire.report(assignment, 2, 0.1) == "stop"
    assert wire.report(assignment, 2, 0.1) == "stop"
    assert wire.report(assignment, 2, 0.2) == "410 lease_lost"
    assert wire.report(assignment, 3, 0.1) == "410 lease_lost"
    assert wire.finish(assignment) == "complete"
    assert wire.report(other, 1) == "410 lease_lost"
    assert wire.stored(assignment["trial_id"]) == [(1, 1, 0.5), (1, 2, 0.1)]


def test_a_stopping_epoch_in_the_middle_of_a_report_ends_it_there_each_time(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 2, "max_epochs": 5, "target": 0.1})
    assignment = wire.claim_one(wire.worker(name))
    body = {"items": [item(assignment, 1, 0.5), item(assignment, 2, 0.1), item(assignment, 3, 0.05)]}
    first = wire.post("/measurements", body)
    assert [entry["decision"] for entry in first["decisions"]] == ["stop"]
    assert [(entry["epoch"], entry["code"]) for entry in first["rejected"]] == [(3, "lease_lost")]
    assert wire.post("/measurements", body) == first
    assert wire.trial(assignment)["value"] == 0.1


def test_trials_that_end_within_a_report_leave_the_epochs_of_the_others_alone(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 4, "max_epochs": 5}, pruner={"kind": "threshold", "upper": 1.0})
    worker = wire.worker(name)
    one, two, three = wire.claim(worker, 3)
    sent = [(one, 1, 2.0), (two, 1, 0.5), (one, 1, 2.0), (three, 1, 0.25), (three, 2, 3.0), (two, 2, 0.125)]
    answer = wire.post("/measurements", {"items": [*(item(*entry) for entry in sent), item(three, 3)]})
    decided = {entry["trial_id"]: entry["decision"] for entry in answer["decisions"]}
    assert decided == {one["trial_id"]: "stop", two["trial_id"]: "continue", three["trial_id"]: "stop"}
    assert [(entry["trial_id"], entry["epoch"], entry["code"]) for entry in answer["rejected"]] == [
        (three["trial_id"], 3, "lease_lost")
    ]
    assert [wire.stored(trial["trial_id"]) for trial in (one, two, three)] == [
        [(1, 1, 2.0)],
        [(1, 1, 0.5), (1, 2, 0.125)],
        [(1, 1, 0.25), (1, 2, 3.0)],
    ]
    study = wire.get(f"/studies/{name}")
    assert (study["num_epochs"], study["best"]["value"]) == (5, 0.125)
    assert study["counts"] == {"pruned": 2, "running": 1}
    assert wire.heartbeat(worker, one, two, three) == [one["lease"], three["lease"]]
    assert [wire.trial(trial)["value"] for trial in (one, two, three)] == [2.0, 0.125, 0.25]


def test_a_study_that_ends_within_a_report_takes_the_rest_of_it_along(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 3, "max_epochs": 5, "target": 0.1})
    one, two, three = wire.claim(wire.worker(name), 3)
    body = {"items": [item(one, 1), item(two, 1, 0.05), item(three, 1, 0.01), item(one, 2)]}
    answer = wire.post("/measurements", body)
    assert [(entry["trial_id"], entry["decision"]) for entry in answer["decisions"]] == [
        (one["trial_id"], "continue"),
        (two["trial_id"], "stop"),
    ]
    assert [(entry["trial_id"], entry["code"]) for entry in answer["rejected"]] == [
        (three["trial_id"], "lease_lost"),
        (one["trial_id"], "lease_lost"),
    ]
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["num_epochs"]) == ("complete", "target", 2)
    assert study["counts"] == {"complete": 1, "cancelled": 2}


def test_a_report_that_ends_the_last_trials_ends_their_study(wire: Wire) -> None:
    name = wire.study(budget={"max_trials": 2, "max_epochs": 5}, pruner={"kind": "threshold", "upper": 1.0})
    one, two = wire.claim(wire.worker(name), 2)
    wire.post("/measurements", {"items": [item(one, 1, 2.0), item(two, 1, 3.0)]})
    study = wire.get(f"/studies/{name}")
    assert (study["state"], study["end_reason"], study["counts"]) == ("complete", "max_trials", {"pruned": 2})


def test_epochs_delivered_late_and_out_of_order_are_kept(wire: Wire) -> None:
    name = wire.study()
    assignment = wire.claim_one(wire.worker(name))
    for epoch in (2, 1, 3):
        assert wire.report(assignment, epoch, epoch / 10) == "continue"
    assert [entry[1] for entry in wire.stored(assignment["trial_id"])] == [1, 2, 3]
    trial = wire.trial(assignment)
    assert (trial["num_epochs"], trial["value"], trial["best_epoch"]) == (3, 0.1, 1)
