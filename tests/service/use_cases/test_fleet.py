"""Which worker gets which study: requirements, priorities, fair shares, modes, and what more is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.protocol.wire import LEASE_TTL_S, Wire
from tests.service.use_cases.lab import Lab

GIB = 2**30
GPU = {"kind": "gpu", "name": "g", "uuid": "GPU-1", "memory_total_bytes": 24 * GIB}
BUDGET = {"max_trials": 9, "max_epochs": 5}


def served(lab: Lab, worker: str, num: int) -> list[str]:
    """Studies that a worker is given, trial by trial; the trials stay with it."""
    held: list[Any] = []
    for _ in range(num):
        held += lab.wire.claim(worker, knows=held)
    return [one["study"] for one in held]


def turn(lab: Lab, worker: str, seconds: float) -> str:
    """The study of the next trial, which takes so long."""
    assignment = lab.wire.claim_one(worker)
    lab.wire.clock.advance(seconds)
    lab.wire.report(assignment, 1)
    lab.wire.finish(assignment)
    return str(assignment["study"])


def test_only_workers_that_have_what_it_takes_get_a_study(lab: Lab) -> None:
    name = lab.study(requires={"device": "gpu", "memory_bytes": 16 * GIB, "labels": {"site": "basement"}})
    wire, labels = lab.wire, {"site": "basement"}
    poor = [
        wire.worker(lab.objective),
        wire.worker(lab.objective, devices=[GPU]),
        wire.worker(lab.objective, labels=labels, devices=[GPU | {"memory_total_bytes": 8 * GIB}]),
        wire.worker(lab.objective, labels=labels, devices=[GPU | {"memory_total_bytes": None}]),
        wire.worker(lab.objective, labels={"site": "attic"}, devices=[GPU]),
    ]
    assert [wire.claim(worker) for worker in poor] == [[]] * len(poor)
    assert wire.get(f"/studies/{name}")["num_able_workers"] == 0
    able = wire.worker(lab.objective, labels=labels | {"more": "x"}, devices=[GPU])
    assert wire.get(f"/studies/{name}")["num_able_workers"] == 1
    assert wire.claim_one(able)["study"] == name
    [listed] = [study for study in wire.get("/studies?limit=1000")["items"] if study["name"] == name]
    assert listed["num_able_workers"] == 1


def test_a_study_tells_how_many_connected_workers_can_take_its_trials_now(lab: Lab) -> None:
    name = lab.study(budget=BUDGET)
    wire = lab.wire

    def num_able() -> Any:
        return wire.get(f"/studies/{name}")["num_able_workers"]

    before = num_able()
    worker = wire.worker(lab.objective)
    assert num_able() == before + 1
    wire.post(f"/workers/{worker}:drain")
    assert num_able() == before
    wire.post(f"/workers/{worker}:resume")
    wire.clock.advance(LEASE_TTL_S + 1)
    assert num_able() == 0
    wire.post(f"/studies/{name}:stop")
    assert num_able() is None


def test_a_worker_gets_a_study_once_its_requirements_are_lowered(lab: Lab) -> None:
    name = lab.study(requires={"labels": {"site": "moon"}})
    worker = lab.wire.worker(lab.objective)
    waiting = lab.wire.begin_claim(worker, wait_s=20)
    status, study = lab.wire.ask("PATCH", f"/studies/{name}", {"requires": {}})
    assert (status, study["requires"]["labels"]) == (200, {})
    assert [one["study"] for one in waiting.result(timeout=30)] == [name]


def test_a_higher_priority_comes_first_however_many_of_its_trials_run(lab: Lab) -> None:
    low = lab.study(budget=BUDGET, priority=-1)
    high = lab.study(budget={**BUDGET, "max_trials": 3}, priority=2)
    lab.wire.post(f"/studies/{low}/trials", {"params": {"x": 0.25, "kind": "a"}})
    assert served(lab, lab.wire.worker(lab.objective), 5) == [high, high, high, low, low]


def test_one_claim_for_many_slots_goes_by_priority_too_and_shares_what_is_equal(lab: Lab) -> None:
    first = lab.study(budget=BUDGET)
    second = lab.study(budget=BUDGET)
    high = lab.study(budget={**BUDGET, "max_parallel": 2}, priority=1)
    lab.wire.post(f"/studies/{second}/trials", {"params": {"x": 0.25, "kind": "a"}})
    studies = [one["study"] for one in lab.claim(6)]
    assert studies[:2] == [high, high]
    assert sorted(studies[2:]) == [first, first, second, second]


def test_a_priority_can_be_changed_while_the_study_runs(lab: Lab) -> None:
    first, second = lab.study(budget=BUDGET), lab.study(budget=BUDGET)
    worker = lab.wire.worker(lab.objective)
    status, study = lab.wire.ask("PATCH", f"/studies/{second}", {"priority": 5, "checkpoints": {"keep_best": 1}})
    assert (status, study["priority"], study["checkpoints"]["keep_best"]) == (200, 5, 1)
    assert served(lab, worker, 3) == [second] * 3
    lab.wire.ask("PATCH", f"/studies/{second}", {"priority": -5})
    assert served(lab, lab.wire.worker(lab.objective), 1) == [first]
    specs: list[Any] = [event.data["spec"] for event in lab.events(second) if event.kind == "study_edited"]
    assert [spec["priority"] for spec in specs] == [5, -5]


def test_one_slot_is_shared_by_time_and_not_by_trials(lab: Lab) -> None:
    budget = {"max_trials": 100, "max_epochs": 5}
    long, short = lab.study(budget=budget), lab.study(budget=budget)
    worker = lab.wire.worker(lab.objective)
    spent = {long: 0.0, short: 0.0}
    for _ in range(33):
        assignment = lab.wire.claim_one(worker)
        seconds = 10.0 if assignment["study"] == long else 1.0
        lab.wire.clock.advance(seconds)
        lab.wire.report(assignment, 1)
        lab.wire.finish(assignment)
        spent[assignment["study"]] += seconds
    assert min(spent.values()) > 0
    assert abs(spent[long] - spent[short]) <= 11.0


def test_a_slot_is_not_held_from_a_study_that_comes_later(lab: Lab) -> None:
    old = lab.study(budget=BUDGET)
    worker = lab.wire.worker(lab.objective)
    assert turn(lab, worker, 8) == old
    new = lab.study(budget=BUDGET)
    assert [turn(lab, worker, 5), turn(lab, worker, 5), turn(lab, worker, 5)] == [new, new, old]


@pytest.mark.parametrize(("verb", "mode"), [("pause", "paused"), ("drain", "draining")])
def test_a_worker_that_rests_keeps_what_it_has_and_gets_nothing_new(lab: Lab, verb: str, mode: str) -> None:
    lab.study(budget=BUDGET)
    wire = lab.wire
    worker = wire.worker(lab.objective)
    held = wire.claim_one(worker)
    for _ in range(2):
        assert wire.post(f"/workers/{worker}:{verb}")["mode"] == mode
    knows = [held["lease"]]
    answer = wire.post(f"/workers/{worker}:claim", {"request_id": "next", "leases": knows})
    assert (answer["assigned"], answer["mode"]) == ([], mode)
    assert answer["retry_after_s"] > 0
    assert wire.post(f"/workers/{worker}:heartbeat", {"leases": knows}) == {"lost": [], "discard": [], "mode": mode}
    assert wire.report(held, 1) == "continue"
    [shown] = [one for one in wire.get("/workers")["items"] if one["worker_id"] == worker]
    assert (shown["mode"], shown["running"], shown["is_alive"]) == (mode, [held["trial_id"]], True)
    assert wire.post(f"/workers/{worker}:resume")["mode"] == "working"
    assert len(wire.claim(worker, knows=[held])) == 1


@pytest.mark.parametrize("verb", ["pause", "drain"])
def test_a_resting_worker_that_forgot_its_trials_gets_them_again_and_no_others(lab: Lab, verb: str) -> None:
    name = lab.study(budget=BUDGET)
    wire = lab.wire
    wire.post(f"/studies/{name}/trials", {"params": {"x": 0.25, "kind": "a"}})
    worker = wire.worker(lab.objective)
    held = wire.claim_one(worker)
    wire.post(f"/studies/{name}/trials", {"params": {"x": 0.5, "kind": "a"}})
    wire.post(f"/workers/{worker}:{verb}")
    [again] = wire.claim(worker, 3)
    assert (again["trial_id"], again["attempt"]) == (held["trial_id"], 2)


def test_the_same_request_gets_the_same_answer_after_a_pause(lab: Lab) -> None:
    lab.study(budget=BUDGET)
    worker = lab.wire.worker(lab.objective)
    first = lab.wire.claim(worker, request="once")
    lab.wire.post(f"/workers/{worker}:pause")
    assert lab.wire.claim(worker, request="once") == first


def test_a_claim_that_waits_is_told_of_a_new_mode_at_once(lab: Lab) -> None:
    wire = lab.wire
    worker = wire.worker(lab.objective)
    for verb, mode in (("pause", "paused"), ("resume", "working"), ("drain", "draining")):
        waiting = wire.begin_claim_for_mode(worker, wait_s=30)
        wire.post(f"/workers/{worker}:{verb}")
        assert waiting.result(timeout=20) == mode
    # Who is to end has nothing to wait for.
    assert wire.begin_claim_for_mode(worker, wait_s=30).result(timeout=20) == "draining"


def test_a_paused_worker_takes_part_again_as_soon_as_it_is_resumed(lab: Lab) -> None:
    wire = lab.wire
    worker = wire.worker(lab.objective)
    wire.post(f"/workers/{worker}:pause")
    name = lab.study(budget=BUDGET)
    waiting = wire.begin_claim(worker, wait_s=30)
    wire.post(f"/workers/{worker}:resume")
    assert [one["study"] for one in waiting.result(timeout=20)] == [name]


@pytest.mark.parametrize("verb", ["pause", "resume", "drain"])
def test_modes_of_workers_that_never_registered_are_not_found(wire: Wire, verb: str) -> None:
    assert wire.refused("POST", f"/workers/nobody:{verb}") == "404 not_found"


def test_a_drained_worker_that_has_gone_is_not_alive(lab: Lab) -> None:
    worker = lab.wire.worker(lab.objective)
    lab.wire.post(f"/workers/{worker}:drain")
    lab.wire.clock.advance(LEASE_TTL_S + 1)
    [shown] = [one for one in lab.wire.get("/workers")["items"] if one["worker_id"] == worker]
    assert (shown["mode"], shown["is_alive"]) == ("draining", False)


def test_demand_tells_what_runs_and_what_could(lab: Lab) -> None:
    wire = lab.wire
    before = wire.get("/workers:demand")
    name = lab.study(budget={"max_trials": 5, "max_epochs": 5})
    unserved = lab.study(budget={"max_trials": 50, "max_epochs": 5, "max_parallel": 4}, requires={"device": "gpu"})

    def more() -> tuple[int, int]:
        now = wire.get("/workers:demand")
        return now["num_running"] - before["num_running"], now["num_wanted"] - before["num_wanted"]

    assert more() == (0, 5 + 4)
    worker = wire.worker(lab.objective)
    held = wire.claim(worker, 2)
    assert more() == (2, 5 + 4)
    wire.report(held[0], 1)
    wire.finish(held[0])
    assert more() == (1, 4 + 4)
    wire.post(f"/studies/{name}:pause")
    wire.post(f"/studies/{unserved}:stop")
    assert more() == (1, 1)
    wire.report(held[1], 1)
    wire.finish(held[1])
    assert more() == (0, 0)
