"""Rounds set by hand."""

from __future__ import annotations

from typing import Any

import pytest

from service.search.mirror import Mirror
from tests.service.use_cases.lab import Lab

SPACE: dict[str, Any] = {
    "rate": {"type": "float", "low": 0.0001, "high": 1.0, "scale": "log"},
    "units": {"type": "int", "low": 1, "high": 10},
    "kind": {"type": "categorical", "choices": ["a", True, 2]},
}


def rounds_study(lab: Lab, **changes: Any) -> str:
    budget = {"max_trials": 40, "max_epochs": 5}
    return lab.study(**({"space": SPACE, "strategy": {"kind": "coarse_to_fine"}, "budget": budget} | changes))


def open_round(lab: Lab, name: str, **windows: Any) -> Any:
    return lab.wire.post(f"/studies/{name}/rounds", {"windows": windows})


def test_new_trials_are_drawn_inside_the_windows_of_the_next_round(lab: Lab) -> None:
    name = rounds_study(lab)
    assert [one["number"] for one in lab.claim(3)] == [0, 1, 2]
    opened = open_round(lab, name, rate={"low": 0.01, "high": 0.1}, kind={"weights": {"true": 3, "2": 1}})
    assert (opened["number"], opened["first_trial"], opened["origin"]) == (1, 3, "manual")
    window = opened["windows"]["rate"]
    assert (window["unit_low"], window["unit_high"]) == (pytest.approx(0.5), pytest.approx(0.75))
    assert opened["windows"]["kind"]["weights"] == [0.0, 0.75, 0.25]
    assert window["reason"] == "set by hand"
    assert opened["windows"]["units"]["reason"] == "kept from round 0"
    drawn = lab.claim(6)
    assert all(0.01 <= one["params"]["rate"] <= 0.1 for one in drawn)
    assert all(one["params"]["kind"] in (True, 2) and one["params"]["kind"] != "a" for one in drawn)
    assert len({one["params"]["rate"] for one in drawn}) == 6
    assert {lab.wire.trial(one)["round"] for one in drawn} == {1}


def test_a_round_of_whole_numbers_draws_both_ends(lab: Lab) -> None:
    name = rounds_study(lab)
    opened = open_round(lab, name, units={"low": 4, "high": 5})
    # Each of ten values owns a tenth.
    assert (opened["windows"]["units"]["unit_low"], opened["windows"]["units"]["unit_high"]) == (0.3, 0.5)
    assert {one["params"]["units"] for one in lab.claim(12)} == {4, 5}


def test_a_round_is_the_same_after_the_search_is_loaded_anew(lab: Lab) -> None:
    name = rounds_study(lab)
    lab.claim(1)
    open_round(lab, name, rate={"low": 0.01, "high": 0.1})
    open_round(lab, name, units={"low": 2, "high": 3})
    study_id = lab.study_id(name)

    def rounds_of(mirror: Mirror) -> list[Any]:
        return list(mirror.rounds)

    followed = lab.wire.service.searches.of(study_id).examine(rounds_of)
    lab.wire.service.searches.forget(study_id)
    assert lab.wire.service.searches.of(study_id).examine(rounds_of) == followed
    read = lab.wire.get(f"/studies/{name}/rounds")["items"]
    assert [one["origin"] for one in read] == ["sampler", "manual", "manual"]
    # The second round by hand keeps what the first one set.
    assert read[2]["windows"]["rate"]["low"] == 0.01
    assert lab.events(name)[-1].data["windows"] == read[2]["windows"]


def test_windows_are_kept_as_far_as_an_edited_space_allows(lab: Lab) -> None:
    name = rounds_study(lab)
    open_round(lab, name, rate={"low": 0.01, "high": 1.0}, kind={"weights": {"a": 1}})
    space = {
        "rate": {"type": "float", "low": 0.001, "high": 0.1, "scale": "log"},
        "kind": {"type": "categorical", "choices": ["a", "b"]},
    }
    assert lab.wire.ask("PATCH", f"/studies/{name}", {"space": space})[0] == 200
    opened = open_round(lab, name, kind={"weights": {"b": 1}})
    rate = opened["windows"]["rate"]
    assert (rate["low"], rate["high"]) == (0.01, 0.1)
    assert (rate["unit_low"], rate["unit_high"]) == (pytest.approx(0.5), 1.0)
    assert set(opened["windows"]) == {"rate", "kind"}


@pytest.mark.parametrize(
    ("windows", "field", "expected"),
    [
        ({"rat": {"low": 0.1, "high": 0.2}}, "windows.rat", "did you mean 'rate'"),
        ({"rate": {"low": 0.00001, "high": 0.2}}, "windows.rate.low", "a number in [0.0001, 1.0]"),
        ({"rate": {"low": 0.2, "high": 0.1}}, "windows.rate.low", "a number below high (0.1)"),
        ({"rate": {"low": 0.2}}, "windows.rate", "low and high"),
        ({"rate": {"weights": {"a": 1}}}, "windows.rate", "low and high"),
        ({"kind": {"low": 0, "high": 1}}, "windows.kind", "weights"),
        ({"kind": {"weights": {"c": 1}}}, "windows.kind.weights.c", "one of a, true, 2"),
        ({"kind": {"weights": {"a": 0}}}, "windows.kind.weights", "at least one weight above 0"),
        ({}, "windows", "1 or more entries"),
    ],
)
def test_windows_that_do_not_fit_are_refused(lab: Lab, windows: Any, field: str, expected: str) -> None:
    name = rounds_study(lab)
    status, answer = lab.wire.ask("POST", f"/studies/{name}/rounds", {"windows": windows})
    assert status == 422
    assert answer["errors"][0]["field"] == field
    assert expected in answer["errors"][0]["expected"]
    assert lab.wire.get(f"/studies/{name}/rounds")["items"] == []


def test_strategies_without_rounds_and_ended_studies_refuse(lab: Lab) -> None:
    body = {"windows": {"rate": {"low": 0.1, "high": 0.2}}}
    plain = rounds_study(lab, strategy={"kind": "random"})
    status, answer = lab.wire.ask("POST", f"/studies/{plain}/rounds", body)
    assert (status, answer["code"]) == (409, "state_conflict")
    assert "random" in answer["detail"]
    ended = rounds_study(lab)
    lab.wire.post(f"/studies/{ended}:stop")
    assert lab.wire.refused("POST", f"/studies/{ended}/rounds", body) == "409 state_conflict"
    assert lab.wire.refused("POST", "/studies/nowhere/rounds", body) == "404 not_found"
