"""Studies side by side: histories, distributions, and only what differs in their set-up."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.study import StudySpec
from service.store import catalogue
from service.use_cases import comparing
from tests.service.use_cases.lab import Lab


def compared(lab: Lab, *names: str) -> Any:
    return lab.wire.get("/studies:compare?" + "&".join(f"study={name}" for name in names))


def test_what_each_study_reached_is_told(lab: Lab) -> None:
    budget = {"max_trials": 9, "max_epochs": 9}
    first, second = lab.study(budget=budget), lab.study(budget=budget, seed=5)
    lab.train(first, {"x": 0.5, "kind": "a"}, 0.5, 0.75, 0.25)
    lab.train(first, {"x": 0.25, "kind": "a"}, 1.0)
    lab.train(first, {"x": 0.75, "kind": "a"}, 1.0)
    told = compared(lab, second, first)
    assert [study["name"] for study in told["items"]] == [second, first]
    assert [(gain["value"], gain["num_epochs"]) for gain in told["items"][1]["history"]] == [(0.5, 1), (0.25, 3)]
    assert told["items"][1]["distribution"] == {
        "num_trials": 3,
        "values": [0.25, 1.0, 1.0],
        "shares": [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0],
    }
    assert told["items"][0]["distribution"] == {"num_trials": 0, "values": [], "shares": []}
    assert told["items"][0]["best"] is None
    assert told["differences"] == [{"field": "seed", "values": [5, 0]}]
    alone = lab.wire.get(f"/studies/{first}")
    assert {name: told["items"][1][name] for name in ("num_epochs", "slot_s", "best")} == {
        name: alone[name] for name in ("num_epochs", "slot_s", "best")
    }


def test_of_many_values_a_sample_with_both_ends_is_told(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 1, "max_epochs": 1})
    items = [{"params": {"x": number / 64, "kind": "a"}, "value": float(number)} for number in range(23)]
    lab.offer(name, *items)
    with lab.wire.service.reading() as tx:
        assert catalogue.num_values(tx, lab.study_id(name)) == 23
        taken = catalogue.sorted_values(tx, lab.study_id(name), stride=10)
    assert taken == [(0.0, 1), (9.0, 10), (19.0, 20), (22.0, 23)]


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("study=NAME", "422 invalid_request"),
        ("study=NAME&study=NAME", "422 invalid_request"),
        ("&".join(f"study=s{i}" for i in range(7)), "422 invalid_request"),
        ("study=NAME&study=nobody", "404 not_found"),
        ("", "422 invalid_request"),
    ],
)
def test_fewer_than_two_and_more_than_six_are_refused(lab: Lab, query: str, refusal: str) -> None:
    name = lab.study()
    assert lab.wire.refused("GET", f"/studies:compare?{query.replace('NAME', name)}") == refusal


BODY: dict[str, Any] = {"name": "a", "objective": {"name": "mlp", "config": {"dataset": "digits"}}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "b", "tags": {"owner": "ann"}}, {}),
        ({"budget": {"max_trials": 70}}, {"budget.max_trials": [60, 70]}),
        ({"early_stopping": None}, {"early_stopping.patience": [5, None]}),
        (
            {"objective": {"name": "mlp", "config": {"dataset": "iris"}}},
            {"objective.config.dataset": ["digits", "iris"]},
        ),
        ({"pruner": {"kind": "median", "n_warmup_steps": 2}}, {"pruner.n_warmup_steps": [None, 2]}),
    ],
)
def test_only_what_differs_is_told(change: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    specs = [StudySpec.model_validate(body) for body in (BODY, BODY | change)]
    told = {one.field: one.values for one in comparing.differences(specs)}
    assert expected.items() <= told.items()
    assert bool(told) is bool(expected)


def test_a_parameter_differs_as_a_whole_and_true_is_not_one() -> None:
    spaces = [
        {"x": {"type": "categorical", "choices": [first, "b"]}, "y": {"type": "int", "low": 1, "high": 3}}
        for first in (1, True)
    ]
    specs = [StudySpec.model_validate(BODY | {"space": space}) for space in spaces]
    [only] = comparing.differences(specs)
    assert only.field == "space.x"
    assert [value["choices"][0] for value in only.values] == [1, True]
