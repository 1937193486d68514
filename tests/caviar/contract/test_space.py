"""Parameters and spaces: unit coordinates and natural values, conditions, hand-made configurations."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from caviar.contract.errors import InvalidRequest
from caviar.contract.space import FloatParameter, Parameter, Space
from tests.caviar.contract.spaces import UNIT, categoricals, floats, grids, ints, spaces

PARAMETER: TypeAdapter[Any] = TypeAdapter(Parameter)


@given(body=floats() | grids() | ints() | categoricals(), unit=UNIT)
def test_what_a_unit_coordinate_gives_is_a_value_of_the_parameter(body: Any, unit: Any) -> None:
    parameter = PARAMETER.validate_python(body)
    value = parameter.from_unit(unit)
    assert parameter.refuse(value) is None
    assert 0.0 <= parameter.to_unit(value) <= 1.0


@given(body=grids() | ints() | categoricals(), unit=UNIT)
def test_grid_values_and_choices_survive_the_way_there_and_back(body: Any, unit: Any) -> None:
    parameter = PARAMETER.validate_python(body)
    value = parameter.from_unit(unit)
    back = parameter.from_unit(parameter.to_unit(value))
    assert (back, type(back)) == (value, type(value))


@given(body=floats(), unit=UNIT)
def test_real_values_survive_the_way_there_and_back(body: Any, unit: Any) -> None:
    parameter = PARAMETER.validate_python(body)
    value = parameter.from_unit(unit)
    scale = max(abs(body["low"]), abs(body["high"])) if body["scale"] == "linear" else abs(value)
    assert parameter.from_unit(parameter.to_unit(value)) == pytest.approx(value, rel=1e-9, abs=1e-12 * scale + 1e-300)


@given(body=floats() | grids() | ints(), a=UNIT, b=UNIT)
def test_a_greater_coordinate_never_gives_a_lesser_value(body: Any, a: Any, b: Any) -> None:
    parameter = PARAMETER.validate_python(body)
    low, high = sorted((a, b))
    assert parameter.from_unit(low) <= parameter.from_unit(high)


@given(body=floats() | grids() | ints())
def test_the_ends_of_the_unit_interval_are_the_bounds(body: Any) -> None:
    parameter = PARAMETER.validate_python(body)
    assert parameter.from_unit(0.0) == body["low"]
    assert parameter.from_unit(1.0) == body["high"]


@given(body=grids())
def test_every_grid_value_is_reached_and_is_the_decimal_that_a_person_would_write(body: Any) -> None:
    parameter = PARAMETER.validate_python(body)
    count = parameter.axis.num_values
    values = {parameter.from_unit(parameter.to_unit(body["low"] + i * body["step"])) for i in range(count)}
    assert len(values) == count
    assert all(len(repr(value)) <= 12 for value in values)


@given(body=grids() | ints() | categoricals(), data=st.data())
def test_every_value_has_a_position(body: Any, data: Any) -> None:
    parameter = PARAMETER.validate_python(body)
    position = data.draw(st.integers(0, parameter.num_values - 1))
    value = parameter.value_at(position)
    assert parameter.refuse(value) is None
    assert parameter.position(value) == position


def test_a_continuous_parameter_has_no_number_of_values() -> None:
    assert PARAMETER.validate_python({"type": "float", "low": 0, "high": 1}).num_values is None


def test_a_step_of_a_tenth_has_no_binary_dust() -> None:
    parameter = PARAMETER.validate_python({"type": "float", "low": 0.1, "high": 0.7, "step": 0.1})
    assert [parameter.from_unit((i + 0.5) / 7) for i in range(7)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    # Somebody computed the value in Python.
    assert parameter.refuse(0.1 + 0.2) is None
    assert parameter.refuse(0.25) == "low plus a whole number of steps of 0.1, such as 0.2"


def test_a_high_that_was_computed_in_floating_point_ends_the_grid() -> None:
    parameter = PARAMETER.validate_python({"type": "float", "low": 0.1, "high": 0.1 + 0.2, "step": 0.1})
    assert parameter.axis.num_values == 3
    just_below = math.nextafter(0.3, 0)
    parameter = PARAMETER.validate_python({"type": "float", "low": 0.1, "high": just_below, "step": 0.1})
    assert parameter.from_unit(1.0) == just_below
    assert parameter.refuse(just_below) is None


@given(spaces(), st.data())
def test_configurations_survive_the_way_to_unit_coordinates_and_back(space: Any, data: Any) -> None:
    units = data.draw(st.lists(UNIT, min_size=len(space), max_size=len(space)))
    params = space.params_at(units)
    back = space.units_of(params)
    assert [unit is None for unit in back] == [name not in params for name in space.names]
    again = space.params_at([0.5 if unit is None else unit for unit in back])
    assert again.keys() == params.keys()
    for name, value in params.items():
        if isinstance(space[name], FloatParameter) and space[name].step is None:
            size = max(abs(space[name].low), abs(space[name].high))
            assert again[name] == pytest.approx(value, rel=1e-9, abs=1e-12 * size)
        else:
            assert (again[name], type(again[name])) == (value, type(value))
    assert list(params) == [name for name in space.names if name in params]


@given(spaces(), st.data())
def test_exactly_the_parameters_apply_whose_conditions_are_met(space: Any, data: Any) -> None:
    params = space.params_at(data.draw(st.lists(UNIT, min_size=len(space), max_size=len(space))))
    for name, parameter in space.items():
        is_met = all(
            parent in params
            and any((params[parent], type(params[parent]) is bool) == (v, type(v) is bool) for v in values)
            for parent, values in (parameter.when or {}).items()
        )
        assert (name in params) == is_met == space.is_active(name, params)


@given(spaces(), st.data())
def test_a_drawn_configuration_passes_the_check_of_hand_made_ones(space: Any, data: Any) -> None:
    params = space.params_at(data.draw(st.lists(UNIT, min_size=len(space), max_size=len(space))))
    shuffled = dict(data.draw(st.permutations(list(params.items()))))
    checked = space.check(shuffled)
    assert list(checked.items()) == list(params.items())


@given(spaces())
def test_parents_come_before_their_children(space: Any) -> None:
    order = space.parents_first
    assert sorted(order) == sorted(space.names)
    for name, parameter in space.items():
        assert all(order.index(parent) < order.index(name) for parent in parameter.when or ())


SPACE = Space.model_validate(
    {
        "momentum": {"type": "float", "low": 0.5, "high": 0.99, "scale": "1-beta", "when": {"optimizer": ["sgd"]}},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
        "layers": {"type": "int", "low": 1, "high": 3},
        "units_3": {"type": "int", "low": 16, "high": 64, "step": 16, "when": {"layers": [3]}},
        "flag": {"type": "categorical", "choices": [True, 1, "1"]},
    }
)


def test_one_minus_beta_is_another_spelling_of_reverse_log() -> None:
    assert SPACE["momentum"].model_dump()["scale"] == "reverse_log"


def test_a_space_is_a_mapping_in_the_order_given() -> None:
    assert len(SPACE) == 5
    assert "flag" in SPACE
    assert "flags" not in SPACE
    assert SPACE.names == ["momentum", "optimizer", "layers", "units_3", "flag"]


def test_true_and_one_and_the_text_one_are_three_choices() -> None:
    flag: Any = SPACE["flag"]
    assert [flag.position(value) for value in (True, 1, "1")] == [0, 1, 2]
    assert [flag.from_unit(u) for u in (0.0, 0.5, 1.0)] == [True, 1, "1"]
    assert flag.from_unit(0.0) is True
    assert flag.refuse(False) == "one of True, 1, '1'"
    assert flag.refuse([1]) is not None


def test_long_lists_of_choices_are_shortened_in_messages() -> None:
    parameter = PARAMETER.validate_python({"type": "categorical", "choices": list(range(1000))})
    assert parameter.refuse(-1) == "one of " + ", ".join(map(str, range(20))) + ", …"


@pytest.mark.parametrize(
    ("params", "field", "received", "expected"),
    [
        ({"optimzer": "sgd"}, "params.optimzer", "sgd", "no such parameter; did you mean 'optimizer'?"),
        (
            {"optimizer": "adam", "momentum": 0.9},
            "params.momentum",
            0.9,
            "no value: the condition of this parameter is not met",
        ),
        ({"optimizer": "sgd"}, "params.momentum", "nothing", "a value: this parameter applies"),
        ({"layers": 2.0}, "params.layers", 2.0, "a whole number"),
        ({"layers": True}, "params.layers", True, "a whole number"),
        ({"layers": 4}, "params.layers", 4, "a number in [1, 3]"),
        ({"layers": 3, "units_3": 20}, "params.units_3", 20, "low plus a whole number of steps of 16, such as 16"),
        ({"optimizer": "sgd", "momentum": math.nan}, "params.momentum", "nan", "a number in [0.5, 0.99]"),
        ({"optimizer": "sgd", "momentum": "0.9"}, "params.momentum", "0.9", "a finite number"),
        ({"optimizer": "sgd", "momentum": True}, "params.momentum", True, "a finite number"),
        ({"optimizer": "sgd", "momentum": 10**400}, "params.momentum", "1" + "0" * 199, "a number in [0.5, 0.99]"),
        ({"flag": None}, "params.flag", None, "one of True, 1, '1'"),
    ],
)
def test_a_hand_made_configuration_that_does_not_fit_is_refused(
    params: Any, field: Any, received: Any, expected: Any
) -> None:
    valid = {"optimizer": "adam", "layers": 1, "flag": True}
    with pytest.raises(InvalidRequest) as caught:
        SPACE.check(valid | params)
    [error] = caught.value.errors
    assert (error.field, error.received, error.expected) == (field, received, expected)


def test_children_of_a_refused_parent_are_not_blamed_as_well() -> None:
    with pytest.raises(InvalidRequest) as caught:
        SPACE.check({"optimizer": "sdg", "momentum": 0.9, "layers": 1, "flag": True}, prefix="trial.params")
    assert [error.field for error in caught.value.errors] == ["trial.params.optimizer"]
    assert str(caught.value) == (
        "1 parameter(s) do not fit the search space\n"
        "  trial.params.optimizer: received 'sdg', expected one of 'sgd', 'adam'"
    )


def test_a_parent_that_does_not_apply_switches_off_its_children() -> None:
    space = Space.model_validate(
        {
            "a": {"type": "categorical", "choices": ["x", "y"]},
            "b": {"type": "int", "low": 1, "high": 2, "when": {"a": ["x"]}},
            "c": {"type": "float", "low": 0, "high": 1, "when": {"b": [1]}},
        }
    )
    assert space.check({"a": "y"}) == {"a": "y"}
    assert space.params_at([0.9, 0.1, 0.1]) == {"a": "y"}
    assert space.params_at([0.1, 0.1, 0.5]) == {"a": "x", "b": 1, "c": 0.5}
