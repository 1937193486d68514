"""What one study's results say to another one."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.space import Space
from caviar.contract.study import Metric, ObjectiveRef, StudySpec
from service.domain import transfer

_SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"kind": ["a"]}},
}


def spec(config: Any = None, **space: Any) -> StudySpec:
    objective = {"name": "train", "config": config or {}}
    return StudySpec.model_validate({"name": "new", "objective": objective, "space": space or _SPACE})


def config_of(given: Any) -> ObjectiveRef:
    return ObjectiveRef(name="train", config=given)


def test_what_the_study_searches_is_kept_in_its_order() -> None:
    carried = transfer.carried({"momentum": 0.5, "kind": "a", "x": 0.25}, {}, spec())
    assert list(carried.items()) == [("x", 0.25), ("kind", "a"), ("momentum", 0.5)]


@pytest.mark.parametrize(
    ("params", "config", "expected"),
    [
        ({"x": 0.5, "depth": 3}, {}, {"x": 0.5}),
        ({"x": 0.5, "depth": 3}, None, {"x": 0.5}),
        ({"x": 0.5}, {"depth": 3}, {"x": 0.5}),
        ({"depth": 3}, {"x": 0.5}, {"x": 0.5}),
        # Of an option that nothing is known of, a file's word is taken.
        ({"x": 0.5}, None, {"x": 0.5}),
    ],
)
def test_an_option_may_be_fixed_here_and_searched_there(params: Any, config: Any, expected: Any) -> None:
    assert transfer.carried(params, config, spec({"depth": 3}, x=_SPACE["x"])) == expected


@pytest.mark.parametrize(
    ("params", "config", "reason"),
    [
        ({"x": 0.5, "depth": 4}, {}, "params.depth: received 4, but this study fixes depth at 3"),
        ({"x": 0.5, "depth": True}, {}, "this study fixes depth at 3"),
        ({"x": 0.5}, {}, "params.depth: received nothing, but this study fixes depth at 3"),
        ({"x": 0.5, "width": 1}, {"depth": 3}, "neither searches nor fixes width"),
        ({"x": 1.5}, {"depth": 3}, "params.x: received 1.5, expected a number in [0.0, 1.0]"),
        ({}, {"depth": 3}, "params.x: received 'nothing'"),
    ],
)
def test_what_means_something_else_does_not_fit(params: Any, config: Any, reason: str) -> None:
    with pytest.raises(transfer.Misfit) as misfit:
        transfer.carried(params, config, spec({"depth": 3}, x=_SPACE["x"]))
    assert reason in str(misfit.value)


def test_a_parameter_whose_condition_is_not_met_does_not_fit() -> None:
    with pytest.raises(transfer.Misfit, match="condition of this parameter is not met"):
        transfer.carried({"x": 0.5, "kind": "b", "momentum": 0.5}, {}, spec())


@pytest.mark.parametrize(
    ("objective", "space", "received"),
    [
        (ObjectiveRef(name="other"), None, ["other"]),
        (config_of({"dataset": "d", "depth": 3}), None, ["dataset = d"]),
        (config_of({"depth": 4}), None, ["depth = 4"]),
        (config_of({}), _SPACE, ["no depth"]),
        # It may have been searched there, or is searched here.
        (config_of({}), _SPACE | {"depth": {"type": "int", "low": 1, "high": 9}}, []),
        (config_of({"depth": 3, "x": 0.5}), _SPACE, []),
        (config_of({}), None, []),
        (None, None, []),
    ],
)
def test_sources_of_another_kind_are_told_apart(objective: Any, space: Any, received: list[str]) -> None:
    found = transfer.disagreements(
        spec({"depth": 3}),
        metric=Metric(),
        objective=objective,
        space=None if space is None else Space.model_validate(space),
        field="study",
    )
    assert [error.received for error in found] == received


def test_keys_tell_true_from_one_but_not_one_from_one() -> None:
    assert transfer.key({"a": 1, "b": "x"}) == transfer.key({"b": "x", "a": 1.0})
    assert transfer.key({"a": 1}) != transfer.key({"a": True})
