"""What a claim hands out when its study changes while the sampler is at work."""

from __future__ import annotations

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
