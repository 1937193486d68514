"""What a claim hands out when its study changes while the sampler is at work."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from caviar.contract.states import TrialState
from caviar.contract.study import StudyEdit
from service.store import trials
from service.store.transaction import Transaction
from service.use_cases import controlling, submitting
from service.use_cases.searching import Search, Step
from tests.service.use_cases.lab import Lab
from tests.service.use_cases.test_editing import NARROW, edit


def _after_the_first_proposal(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], object]) -> list[Step]:
    """Let something happen between the first proposal and its storing; what is proposed is appended to the list."""
    proposed: list[Step] = []
    propose = Search.next

    def proposing(search: Search, *, may_create: bool) -> Step:
        proposed.append(propose(search, may_create=may_create))
        if len(proposed) == 1:
            happen()
        return proposed[-1]

    monkeypatch.setattr(Search, "next", proposing)
    return proposed


def test_a_proposal_from_a_space_that_was_edited_meanwhile_is_drawn_anew(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a range that does not hold the first proposal, so that only a new draw fits.
    name = lab.study(space={"x": {"type": "float", "low": 0.0, "high": 1.0}})
    change = StudyEdit.model_validate({"space": {"x": {"type": "float", "low": 2.0, "high": 3.0}}})
    service = lab.wire.service
    proposed = _after_the_first_proposal(
        monkeypatch, lambda: service.write(lambda tx: submitting.edit(tx, name, change))
    )
    [assignment] = lab.claim()
    assert len(proposed) == 2
    assert assignment["number"] == 0
    assert 2.0 <= assignment["params"]["x"] <= 3.0
    assert lab.wire.trial(assignment)["space_version"] == 2
    assert lab.wire.get(f"/studies/{name}")["num_trials"] == 1


def test_an_edit_that_leaves_the_space_alone_lets_the_proposal_stand(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    name = lab.study()
    change = StudyEdit.model_validate({"budget": {"max_epochs": 3}})
    service = lab.wire.service
    proposed = _after_the_first_proposal(
        monkeypatch, lambda: service.write(lambda tx: submitting.edit(tx, name, change))
    )
    [assignment] = lab.claim()
    assert len(proposed) == 1
    assert assignment["max_epochs"] == 3


def test_a_configuration_that_was_enqueued_meanwhile_takes_the_number(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = lab.study()
    params = {"x": 0.125, "kind": "b"}
    service = lab.wire.service
    proposed = _after_the_first_proposal(
        monkeypatch, lambda: service.write(lambda tx: submitting.enqueue(tx, name, params))
    )
    [assignment] = lab.claim()
    assert len(proposed) == 2
    assert assignment["number"] == 1
    assert lab.claim()[0]["params"] == params


def test_every_claim_goes_by_the_study_as_it_stands(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5, "max_parallel": 2})
    [before] = lab.claim()
    edit(lab, name, budget={"max_trials": 9, "max_epochs": 7, "max_parallel": 3})
    after = lab.claim(9)
    edit(lab, name, space=NARROW, budget={"max_trials": 9, "max_epochs": 4, "max_parallel": 4})
    last = lab.claim(9)
    assert [one["max_epochs"] for one in (before, *after, *last)] == [5, 7, 7, 4]
    assert last[0]["params"]["x"] <= NARROW["x"]["high"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Search]:
    """Whom claims have asked for something new, once for each time."""
    found: list[Search] = []
    propose = Search.next

    def proposing(search: Search, *, may_create: bool) -> Step:
        found.append(search)
        return propose(search, may_create=may_create)

    monkeypatch.setattr(Search, "next", proposing)
    return found


def test_most_claims_are_answered_by_one_transaction(lab: Lab, asked: list[Search]) -> None:
    lab.study(budget={"max_trials": 30, "max_epochs": 5}, seed=3)
    one_by_one = [lab.claim()[0] for _ in range(12)]
    assert [one["number"] for one in one_by_one] == list(range(12))
    assert len(asked) == 2
    # What they were given is what they would have been given without.
    lab.wire.post(f"/studies/{one_by_one[0]['study']}:stop")
    lab.study(budget={"max_trials": 30, "max_epochs": 5}, seed=3)
    at_once = lab.claim(12)
    assert [one["params"] for one in at_once] == [one["params"] for one in one_by_one]
    assert len({str(one["params"]) for one in at_once}) == 12


def test_a_repeated_claim_gets_what_it_got_from_the_stock(lab: Lab) -> None:
    lab.study(budget={"max_trials": 9, "max_epochs": 5})
    assert [one["number"] for one in lab.claim()] == [0]
    worker = lab.wire.worker(lab.objective)
    first = lab.wire.claim(worker, request="again")
    assert [one["number"] for one in first] == [1]
    assert lab.wire.claim(worker, request="again", knows=first) == first


def test_the_stock_keeps_to_the_budget(lab: Lab) -> None:
    lab.study(budget={"max_trials": 3, "max_epochs": 5})
    assert [len(lab.claim(2)), len(lab.claim(2))] == [2, 1]
    lab.study(budget={"max_trials": 9, "max_epochs": 5, "max_parallel": 2})
    assert [len(lab.claim()), len(lab.claim()), len(lab.claim())] == [1, 1, 0]


def test_an_edit_ends_the_stock(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5})
    assert len(lab.claim(2)) == 2
    edit(lab, name, space=NARROW, budget={"max_trials": 9, "max_epochs": 4})
    after = lab.claim(3)
    assert [(one["number"], one["max_epochs"]) for one in after] == [(2, 4), (3, 4), (4, 4)]
    assert all(one["params"]["x"] <= NARROW["x"]["high"] for one in after)


def test_what_is_enqueued_goes_before_the_stock(lab: Lab, asked: list[Search]) -> None:
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5})
    assert len(lab.claim() + lab.claim()) == 2
    assert len(asked) == 1
    lab.wire.post(f"/studies/{name}/trials", {"params": {"x": 0.125, "kind": "b"}})
    found = lab.claim(2)
    assert [one["number"] for one in found] == [2, 3]
    assert found[0]["params"] == {"x": 0.125, "kind": "b"}
    assert len(asked) == 2, "what was at hand did not know of it"


def test_claims_of_the_same_transaction_are_given_different_trials(lab: Lab, asked: list[Search]) -> None:
    lab.study(budget={"max_trials": 30, "max_epochs": 5})
    lab.claim()
    service = lab.wire.service
    workers = [lab.wire.worker(lab.objective) for _ in range(4)]
    hold = threading.Event()
    held = service.writer.submit(lambda _tx: hold.wait(30))
    # While the writer is held up, four claims come to wait for the same transaction.
    claims = [lab.wire.begin_claim(worker, 0.0) for worker in workers]
    while service.writer.num_waiting < len(workers):
        assert not held.done()
    hold.set()
    found = [one for claim in claims for one in claim.result(timeout=60)]
    assert sorted(one["number"] for one in found) == [1, 2, 3, 4]
    assert len(asked) == 1


def test_the_study_with_the_fewest_running_trials_comes_first(lab: Lab) -> None:
    budget = {"max_trials": 9, "max_epochs": 5}
    busy, idle = lab.study(budget=budget), lab.study(budget=budget)
    assert [one["study"] for one in lab.claim(1) + lab.claim(1) + lab.claim(1)] == [busy, idle, busy]


@pytest.mark.parametrize("change", ["paused", "limited", "served"])
def test_what_waits_is_handed_out_by_the_study_as_it_stands(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    first = lab.study(budget={"max_trials": 1, "max_epochs": 5})
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5, "max_parallel": 2})
    params = {"x": 0.5, "kind": "a"}
    for _ in range(3):
        lab.wire.post(f"/studies/{name}/trials", {"params": params})
    held, service = _hold_one_of(lab, name, first), lab.wire.service
    happenings: dict[str, Callable[[Transaction], object]] = {
        "paused": lambda tx: controlling.pause(tx, name),
        "limited": lambda tx: submitting.edit(tx, name, StudyEdit.model_validate({"budget": {"max_parallel": 1}})),
        "served": lambda tx: trials.change(tx, held + 1, state=TrialState.RUNNING),
    }
    # While the new trial of the first study is proposed, which comes first because none of its trials runs.
    _after_the_first_proposal(monkeypatch, lambda: service.write(happenings[change]))
    assert [one["study"] for one in lab.claim(3)] == [first]


def _hold_one_of(lab: Lab, name: str, other: str) -> int:
    """Have a trial of a study run while another study, which would be served first, is paused."""
    lab.wire.post(f"/studies/{other}:pause")
    [assignment] = lab.claim()
    assert assignment["study"] == name
    lab.wire.post(f"/studies/{other}:resume")
    return int(assignment["trial_id"])
