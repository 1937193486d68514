"""Numbering: how many distinct configurations there are, and that each has one number."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given

from caviar.contract.numbering import Numbering
from caviar.contract.space import Params, Space
from tests.caviar.contract.spaces import small_spaces

Key = tuple[tuple[str, str], ...]


def key(params: Params) -> Key:
    return tuple(sorted((name, repr(value)) for name, value in params.items()))


def every_configuration(space: Space) -> set[Key]:
    counts = [space[name].num_values or 1 for name in space.names]
    values: list[list[Any]] = [
        [space[name].value_at(place) for place in range(count)] for name, count in zip(space.names, counts, strict=True)
    ]
    found = set()
    for chosen in product(*values):
        params: Params = {}
        everything = dict(zip(space.names, chosen, strict=True))
        for name in space.parents_first:
            if space.is_active(name, params):
                params[name] = everything[name]
        found.add(key(params))
    return found


@given(small_spaces())
def test_every_distinct_configuration_has_one_number(space: Space) -> None:
    counts = {name: parameter.num_values for name, parameter in space.items()}
    numbering = Numbering(space, counts, lambda name, value: space[name].position(value))
    expected = every_configuration(space)
    assert numbering.size == space.num_configurations == len(expected)
    found = set()
    for number in range(len(expected)):
        params = {name: space[name].value_at(place) for name, place in numbering.positions(number).items()}
        assert space.check(params).keys() == params.keys()
        found.add(key(params))
    assert found == expected


def test_values_that_are_not_taken_switch_nothing_on() -> None:
    space = Space.model_validate(
        {
            "layers": {"type": "int", "low": 1, "high": 9},
            "units": {"type": "int", "low": 1, "high": 4, "when": {"layers": [2, 3]}},
        }
    )
    taken = [1, 3]
    numbering = Numbering(space, {"layers": 2, "units": 4}, lambda _, value: {1: 0, 3: 1}.get(int(value)))
    assert numbering.size == 1 + 4
    assert {taken[numbering.positions(number)["layers"]] for number in range(5)} == {1, 3}


def test_a_space_with_a_continuous_parameter_has_no_number() -> None:
    body: dict[str, Any] = {
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
        "momentum": {"type": "float", "low": 0, "high": 1, "when": {"optimizer": ["sgd"]}},
        "nesterov": {"type": "categorical", "choices": [True], "when": {"optimizer": ["sgd"]}},
    }
    assert Space.model_validate(body).num_configurations is None
    body["momentum"]["when"] = {"optimizer": ["sgd"], "size": ["large"]}
    body["size"] = {"type": "categorical", "choices": ["large", "small"], "when": {"optimizer": ["adam"]}}
    # Now momentum never applies: it wants sgd, and a size that only adam has.
    assert Space.model_validate(body).num_configurations == 1 + 2


def test_counting_costs_no_more_for_more_values() -> None:
    body: dict[str, Any] = {}
    for place in range(100):
        body[f"n{place}"] = {"type": "int", "low": 1, "high": 10**9}
        body[f"m{place}"] = {"type": "int", "low": 1, "high": 3, "when": {f"n{place}": [7]}}
    assert Space.model_validate(body).num_configurations == (10**9 + 2) ** 100


@pytest.mark.parametrize(("num_parents", "expected"), [(10, 2**10 + 1), (20, None)])
def test_conditions_that_are_too_entangled_are_not_counted(num_parents: int, expected: int | None) -> None:
    body: dict[str, Any] = {f"p{i}": {"type": "categorical", "choices": ["on", "off"]} for i in range(num_parents)}
    body["child"] = {"type": "int", "low": 1, "high": 2, "when": {name: ["on"] for name in body}}
    assert Space.model_validate(body).num_configurations == expected
