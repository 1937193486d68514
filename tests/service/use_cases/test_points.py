"""Samples of trials for pictures: which ones, where they lie, how large; and landscapes of two parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caviar.contract.space import Space
from tests.service.use_cases.lab import SPACE, Lab

SCALED: dict[str, Any] = {
    "rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "beta": {"type": "float", "low": 0.9, "high": 0.999999, "scale": "reverse_log", "when": {"kind": ["a"]}},
    "layers": {"type": "int", "low": 1, "high": 4},
    "kind": {"type": "categorical", "choices": ["a", "b", True]},
}


def items(num: int) -> list[dict[str, Any]]:
    """Trials along `x`, the best in the middle; every other one of each kind."""
    places = [(at + 0.5) / num for at in range(num)]
    return [{"params": {"x": x, "kind": "ab"[at % 2]}, "value": 0.5 + abs(x - 0.5)} for at, x in enumerate(places)]


def points(lab: Lab, name: str, query: str = "") -> Any:
    return lab.wire.get(f"/studies/{name}/points{query}")


def test_a_small_study_is_shown_whole_in_columns(lab: Lab) -> None:
    name = lab.study(space=SCALED)
    params: list[dict[str, Any]] = [
        {"rate": 0.01, "beta": 0.99, "layers": 2, "kind": "a"},
        {"rate": 0.123456789, "layers": 4, "kind": "b"},
    ]
    lab.offer(name, {"params": params[0], "value": 0.25}, {"params": params[1], "value": 0.123456789})
    lab.wire.post(f"/studies/{name}/trials", {"params": {"rate": 1e-4, "layers": 1, "kind": True}})
    found = points(lab, name)
    assert (found["total"], found["num_shown"], found["how"]) == (3, 3, "all trials")
    assert found["numbers"] == [0, 1, 2]
    assert found["states"] == ["complete", "complete", "waiting"]
    assert found["values"] == [0.25, 0.123456789, None]
    assert found["epochs"] == [5, 5, 0]
    assert found["params"] == {
        "rate": [0.01, 0.123457, 0.0001],
        "beta": [0.99, None, None],
        "layers": [2, 4, 1],
        "kind": ["a", "b", True],
    }
    space = Space.model_validate(SCALED)
    for column, units in found["units"].items():
        for one, unit in zip([*params, {"rate": 1e-4, "layers": 1, "kind": True}], units, strict=True):
            expected = space[column].to_unit(one[column]) if column in one else None
            assert unit == (None if expected is None else pytest.approx(expected, abs=1e-4))
    assert [lab.trial(name, at)["trial_id"] for at in range(3)] == found["trial_ids"]


def test_values_near_one_keep_the_digits_of_their_distance(lab: Lab) -> None:
    name = lab.study(space=SCALED)
    lab.offer(name, {"params": {"rate": 0.1, "beta": 0.99999123456, "layers": 1, "kind": "a"}, "value": 1.0})
    assert points(lab, name)["params"]["beta"] == [0.99999123456]


def test_of_many_trials_the_best_the_running_and_an_even_part_are_shown(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 5, "max_epochs": 5})
    lab.offer(name, *items(90))
    running = {one["number"] for one in lab.claim(2)}
    found = points(lab, name, "?limit=20")
    assert found["total"] == 92
    assert 14 <= found["num_shown"] == len(found["numbers"]) <= 20
    assert running <= set(found["numbers"])
    assert {43, 44, 45, 46} <= set(found["numbers"])
    gaps = [second - first for first, second in zip(found["numbers"], found["numbers"][1:], strict=False)]
    assert max(gaps) <= 8
    assert found == points(lab, name, "?limit=20")
    assert found["how"].startswith("the best 5, those that run, and one in ")


def test_only_trials_in_some_states(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 5, "max_epochs": 5})
    lab.offer(name, *items(40))
    [running] = lab.claim()
    only = points(lab, name, "?states=running&states=waiting")
    assert (only["numbers"], only["total"]) == ([running["number"]], 1)
    some = points(lab, name, "?states=complete&limit=10")
    assert (some["total"], set(some["states"])) == (40, {"complete"})
    assert 6 <= some["num_shown"] <= 10
    assert some["numbers"][-1] >= 30


def test_what_lies_outside_of_an_edited_range_has_no_place_on_it(lab: Lab) -> None:
    name = lab.study()
    lab.offer(name, *items(4))
    narrow = SPACE | {
        "x": {"type": "float", "low": 0.0, "high": 0.5},
        "kind": {"type": "categorical", "choices": ["b"]},
    }
    assert lab.wire.ask("PATCH", f"/studies/{name}", {"space": narrow})[0] == 200
    found = points(lab, name)
    assert found["params"]["x"] == [0.125, 0.375, 0.625, 0.875]
    assert found["units"]["x"] == [0.25, 0.75, None, None]
    assert found["units"]["kind"] == [None, 0.5, None, 0.5]


def test_the_answer_stays_small_whatever_the_space(lab: Lab) -> None:
    wide = {f"p{at}": {"type": "float", "low": 0.0, "high": 1.0, "scale": "reverse_log"} for at in range(200)}
    wide = {name: parameter | {"high": 0.999999999} for name, parameter in wide.items()}
    name = lab.study(space=wide)
    rows = [
        {
            "params": {column: 0.999999 + (at + place / 200) * 1e-9 for place, column in enumerate(wide)},
            "value": 1 / (at + 3),
        }
        for at in range(120)
    ]
    lab.offer(name, *rows)
    found = points(lab, name)
    assert found["total"] == 120
    assert 40 <= found["num_shown"] < 120
    assert len(json.dumps(found, separators=(",", ":"))) < 500_000


@pytest.mark.parametrize("query", ["limit=3", "limit=5001", "states=done"])
def test_bad_questions_are_refused(lab: Lab, query: str) -> None:
    name = lab.study()
    assert lab.wire.refused("GET", f"/studies/{name}/points?{query}") == "422 invalid_request"


def test_a_landscape_is_drawn_where_trials_are(lab: Lab) -> None:
    name = lab.study(space=SCALED | {"x": {"type": "float", "low": 0.0, "high": 1.0}})
    rows = [
        {
            "params": {"rate": 10 ** (-4 + 2 * at / 60), "layers": 1, "kind": "b", "x": (at * 0.618) % 1},
            "value": at / 60,
        }
        for at in range(60)
    ]
    lab.offer(name, *rows)
    found = lab.wire.get(f"/studies/{name}/contour?x=rate&y=x")
    assert (len(found["grid"]), len(found["grid"][0])) == (len(found["y"]["units"]), len(found["x"]["units"]))
    middle = found["grid"][len(found["grid"]) // 2]
    # All rates lie in the lower half of the range: the value rises along it, and beyond is nothing.
    left = [value for value, unit in zip(middle, found["x"]["units"], strict=True) if unit < 0.45]
    assert None not in left
    assert left[-1] - left[0] > 0.5
    assert {value for value, unit in zip(middle, found["x"]["units"], strict=True) if unit > 0.8} == {None}
    assert found["x"]["params"][0] == pytest.approx(1e-4)
    assert found["num_trials"] == 60


def test_choices_are_not_mixed_in_a_landscape(lab: Lab) -> None:
    name = lab.study()
    lab.offer(name, *({**one, "value": 1.0 if one["params"]["kind"] == "a" else 3.0} for one in items(40)))
    found = lab.wire.get(f"/studies/{name}/contour?x=x&y=kind")
    assert found["y"] == {"name": "kind", "units": [0.25, 0.75], "params": ["a", "b"]}
    assert [set(row) for row in found["grid"]] == [{1.0}, {3.0}]


def test_a_landscape_needs_two_parameters_and_some_trials(lab: Lab) -> None:
    name = lab.study()
    refused = lab.wire.refused
    assert refused("GET", f"/studies/{name}/contour?x=x&y=kind") == "409 state_conflict"
    assert refused("GET", f"/studies/{name}/contour?x=x&y=x") == "422 invalid_request"
    assert refused("GET", f"/studies/{name}/contour?x=x&y=kinds") == "422 invalid_request"
    assert refused("GET", "/studies/nobody/contour?x=x&y=kind") == "404 not_found"
