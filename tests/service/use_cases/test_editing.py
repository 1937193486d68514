"""Ranges of a live study are edited: a new version of the space, and nothing is lost."""

from __future__ import annotations

from typing import Any

from tests.service.use_cases.lab import SPACE, Lab

NARROW: dict[str, Any] = {**SPACE, "x": {"type": "float", "low": 0.0, "high": 0.5}}
WIDER: dict[str, Any] = {**SPACE, "y": {"type": "int", "low": 1, "high": 9}}


def edit(lab: Lab, name: str, **changes: Any) -> Any:
    status, answer = lab.wire.ask("PATCH", f"/studies/{name}", changes)
    assert status == 200, answer
    return answer


def test_each_edit_is_a_new_version_and_the_old_ones_are_kept(lab: Lab) -> None:
    name = lab.study()
    lab.wire.advance(10)
    assert edit(lab, name, space=NARROW)["space_version"] == 2
    lab.wire.advance(10)
    assert edit(lab, name, space=WIDER)["space_version"] == 3
    read = lab.wire.get(f"/studies/{name}/spaces")
    view = lab.wire.get(f"/studies/{name}")
    assert [one["version"] for one in read["items"]] == [1, 2, 3]
    assert [one["space"]["x"]["high"] for one in read["items"]] == [1.0, 0.5, 1.0]
    assert read["items"][-1]["space"] == view["space"]
    at = [one["created_at"] for one in read["items"]]
    assert at[0] == view["created_at"] < at[1] < at[2] == view["updated_at"]


def test_an_edit_to_the_same_space_is_none(lab: Lab) -> None:
    name = lab.study()
    assert edit(lab, name, space=SPACE)["space_version"] == 1
    assert edit(lab, name, tags={"by": "me"})["space_version"] == 1
    # The order of parameters is part of a space.
    assert edit(lab, name, space=dict(reversed(SPACE.items())))["space_version"] == 2


def test_what_waits_is_trained_although_it_does_not_fit_any_more(lab: Lab) -> None:
    name = lab.study()
    lab.wire.post(f"/studies/{name}/trials", {"params": {"x": 0.75, "kind": "a"}})
    edit(lab, name, space=NARROW)
    waiting, new = lab.claim(2)
    assert (waiting["number"], waiting["params"]["x"]) == (0, 0.75)
    assert new["params"]["x"] <= 0.5
    assert lab.wire.trial(waiting)["space_version"] == 1
    assert lab.wire.trial(new)["space_version"] == 2


def test_it_is_told_how_many_trials_fit(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 9, "max_epochs": 5})
    for x in (0.25, 0.375, 0.75):
        lab.train(name, {"x": x, "kind": "a"}, 0.5)
    assert _fitting(lab, name) == (3, 3)
    edit(lab, name, space=NARROW)
    assert _fitting(lab, name) == (3, 2)
    # A parameter that no trial has.
    edit(lab, name, space=WIDER)
    assert _fitting(lab, name) == (3, 0)


def _fitting(lab: Lab, name: str) -> tuple[int, int]:
    read = lab.wire.get(f"/studies/{name}/spaces")
    return read["num_trials"], read["num_fitting"]


def test_proposals_follow_the_new_space_in_every_strategy(lab: Lab) -> None:
    for kind in ("random", "coarse_to_fine", "tpe"):
        name = lab.study(strategy={"kind": kind}, budget={"max_trials": 9, "max_epochs": 5})
        for assignment in lab.claim(2):
            lab.wire.report(assignment, 1, 0.5)
            lab.wire.finish(assignment)
        edit(lab, name, space=WIDER | {"x": NARROW["x"]})
        for assignment in lab.claim(3):
            assert assignment["params"]["x"] <= 0.5
            assert 1 <= assignment["params"]["y"] <= 9
        lab.wire.post(f"/studies/{name}:stop")


def test_the_feed_tells_the_whole_new_study(lab: Lab) -> None:
    name = lab.study()
    edit(lab, name, space=NARROW, budget={"max_trials": 4})
    edited = lab.events(name)[-1]
    assert edited.kind == "study_edited"
    assert edited.data["space_version"] == 2
    spec: Any = edited.data["spec"]
    assert (spec["space"]["x"]["high"], spec["budget"]["max_trials"], spec["name"]) == (0.5, 4, name)


def test_a_space_that_does_not_fit_is_refused_and_nothing_changes(lab: Lab) -> None:
    name = lab.study(strategy={"kind": "grid", "points": {"x": 3}})
    path = f"/studies/{name}"
    upside_down = {"x": {"type": "float", "low": 1.0, "high": 0.0}}
    assert lab.wire.refused("PATCH", path, {"space": upside_down}) == "422 invalid_request"
    # The grid has no points for y.
    body = {"space": {"y": {"type": "float", "low": 0.0, "high": 1.0}}}
    assert lab.wire.refused("PATCH", path, body) == "422 invalid_request"
    assert lab.wire.get(path)["space_version"] == 1
    assert lab.wire.get(f"{path}/spaces")["items"][0]["space"]["kind"]["choices"] == ["a", "b"]
    lab.wire.post(f"{path}:stop")
    assert lab.wire.refused("PATCH", path, {"space": NARROW}) == "409 state_conflict"
