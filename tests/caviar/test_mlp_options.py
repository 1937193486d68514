"""The options of `mlp`: what is accepted, what is refused, and with which words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.mlp import DEFAULT_SPACE, MAX_LAYERS, MlpOptions, is_option
from caviar.contract.mlp_rules import check, parse
from caviar.contract.objectives import BUILT_IN
from caviar.contract.space import Space

SPACE = Space.model_validate({"l2": {"type": "float", "low": 0.0, "high": 0.1}})


def space(**parameters: dict[str, Any]) -> Space:
    return Space.model_validate(parameters)


def choices(*values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "categorical", "choices": list(values), **more}


def only(errors: list[FieldError]) -> FieldError:
    assert len(errors) == 1, errors
    return errors[0]


def test_the_registry_offers_mlp_with_its_space_and_check() -> None:
    built_in = BUILT_IN["mlp"]
    assert built_in.name == "mlp"
    assert built_in.space == DEFAULT_SPACE
    assert built_in.check({"dataset": "digits"}, None) == []
    assert built_in.check({}, None)[0].field == "objective.config.dataset"


@given(st.lists(st.floats(0, 1), min_size=len(DEFAULT_SPACE), max_size=len(DEFAULT_SPACE)))
def test_every_configuration_of_the_default_space_is_accepted(units: list[float]) -> None:
    params = DEFAULT_SPACE.params_at(units)
    options = parse({"dataset": "digits", **params})
    assert all(getattr(options, name) == value for name, value in params.items())


@pytest.mark.parametrize("name", [*MlpOptions.model_fields, "units_1", f"units_{MAX_LAYERS}"])
def test_names_of_options(name: str) -> None:
    assert is_option(name)


@pytest.mark.parametrize("name", ["units_0", "units_01", f"units_{MAX_LAYERS + 1}", "units_", "units_1\n", "", 3, None])
def test_names_of_no_options(name: object) -> None:
    assert not is_option(name)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, (64, 64)),
        ({"units": 8}, (8, 8)),
        ({"num_layers": 3, "units": 8}, (8, 8, 8)),
        ({"units_1": 300, "units_2": 200, "units_3": 100}, (300, 200, 100)),
        ({"num_layers": 2, "units_1": 300, "units_2": 200, "units_3": 100}, (300, 200)),
        ({"num_layers": 3, "units": 5, "units_2": 7}, (5, 7, 5)),
        ({"num_layers": 0}, ()),
    ],
)
def test_sizes_of_layers(config: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert parse({"dataset": "iris", **config}).layer_units == expected


@pytest.mark.parametrize(
    ("config", "field", "words"),
    [
        ({"dataset": "digts"}, "dataset", "digits"),
        ({"optimizer": "adamm"}, "optimizer", "adam"),
        ({"learning_rate": 0}, "learning_rate", "above 0"),
        ({"learning_rate": "0.1"}, "learning_rate", "number"),
        ({"beta_1": 1.0}, "beta_1", "below 1"),
        ({"beta_2": -0.1}, "beta_2", "at least 0"),
        ({"units": 0}, "units", "at least 1"),
        ({"units": 16.0}, "units", "whole number"),
        ({"units": True}, "units", "whole number"),
        ({"units_2": 0}, "units_2", "at least 1"),
        ({"num_layers": MAX_LAYERS + 1}, "num_layers", f"at most {MAX_LAYERS}"),
        ({"dropout": 1.0}, "dropout", "below 1"),
        ({"batch_size": "ful"}, "batch_size", "full"),
        ({"batch_size": 0}, "batch_size", "at least 1"),
        ({"amsgrad": 1}, "amsgrad", "true or false"),
        ({"decay_rate": 1.5}, "decay_rate", "at most 1"),
        ({"plateau_factor": 1.0}, "plateau_factor", "below 1"),
        ({"validation_fraction": 0.0}, "validation_fraction", "above 0"),
        ({"columns": []}, "columns", "1 or more"),
        ({"separator": ";;"}, "separator", "at most 1"),
        ({"loss": "hinge"}, "loss", "binary_crossentropy"),
    ],
)
def test_values_out_of_range_are_refused_in_the_config(config: dict[str, Any], field: str, words: str) -> None:
    error = only(check({"dataset": "digits", **config}, SPACE))
    assert error.field == f"objective.config.{field}"
    assert error.received == (config[field] if config[field] != [] else "[]")
    assert words in error.expected


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        ({"lerning_rate": 0.1}, "did you mean learning_rate?"),
        ({"units_65": 3}, "units_1 to units_64"),
        ({"frobnicate": 1}, "docs/objectives.md"),
    ],
)
def test_unknown_options_are_refused_with_advice(config: dict[str, Any], advice: str) -> None:
    name = next(iter(config))
    error = only(check({"dataset": "digits", **config}, SPACE))
    assert (error.field, error.received) == (f"objective.config.{name}", name)
    assert advice in error.expected


def test_unknown_parameters_of_the_space_are_refused_with_advice() -> None:
    error = only(check({"dataset": "digits"}, space(unit={"type": "int", "low": 1, "high": 9})))
    assert error.field == "space.unit"
    assert "did you mean units?" in error.expected


@pytest.mark.parametrize(
    ("name", "parameter", "field"),
    [
        ("beta_1", {"type": "float", "low": 0.9, "high": 1.5}, "space.beta_1.high"),
        ("dropout", {"type": "float", "low": -0.1, "high": 0.5}, "space.dropout.low"),
        ("units_3", {"type": "int", "low": 0, "high": 16}, "space.units_3.low"),
        ("optimizer", choices("adam", "adan"), "space.optimizer.choices.1"),
        ("batch_size", choices(16, "full", 0), "space.batch_size.choices.2"),
        ("batch_normalization", choices(True, "no"), "space.batch_normalization.choices.1"),
        ("file", choices("a.csv", "../b.csv"), "space.file.choices.1"),
    ],
)
def test_every_end_and_choice_of_the_space_is_checked(name: str, parameter: dict[str, Any], field: str) -> None:
    config = {} if name == "file" else {"dataset": "digits"}
    assert only(check(config, space(**{name: parameter}))).field == field


def test_a_float_parameter_cannot_be_a_whole_number() -> None:
    errors = check({"dataset": "digits"}, space(units={"type": "float", "low": 1.0, "high": 16.0}))
    assert [error.field for error in errors] == ["space.units.low", "space.units.high"]
    assert all("whole number" in error.expected for error in errors)


def test_an_option_that_is_fixed_and_searched_is_ambiguous() -> None:
    error = only(check({"dataset": "digits", "l2": 0.1}, SPACE))
    assert error.field == "objective.config.l2"
    assert "space searches l2 too" in error.expected
    error = only(check({"dataset": "digits", "learning_rate": 0.1}, None))
    assert "default space searches learning_rate too" in error.expected


@pytest.mark.parametrize(
    ("config", "field", "words"),
    [
        ({"units": 3}, "dataset", "dataset, one of digits"),
        ({"dataset": "digits", "file": "a.csv"}, "file", "one source"),
        ({"file": "a.txt"}, "file", ".npz, .csv or .parquet"),
        ({"dataset": "iris", "validation_fraction": 0.5, "test_fraction": 0.5}, "validation_fraction", "less than 1"),
        ({"dataset": "iris", "clipnorm": 1.0, "clipvalue": 1.0}, "clipvalue", "clipnorm is given too"),
        (
            {"dataset": "iris", "reduce_lr_on_plateau": True, "learning_rate_schedule": "step"},
            "reduce_lr_on_plateau",
            "cannot be lowered",
        ),
        (
            {"dataset": "iris", "reduce_lr_on_plateau": True, "warmup_epochs": 1},
            "reduce_lr_on_plateau",
            "cannot be lowered",
        ),
        ({"dataset": "digits", "loss": "binary_crossentropy"}, "loss", "10 classes and one sigmoid tells two apart"),
        ({"dataset": "digits", "output": "sigmoid"}, "output", "10 classes and one sigmoid tells two apart"),
        ({"dataset": "digits", "loss": "categorical_crossentropy"}, "loss", "set labels: one_hot"),
        ({"dataset": "digits", "loss": "mean_squared_error"}, "loss", "set labels: number"),
        ({"dataset": "digits", "output": "linear"}, "output", "set labels: number"),
        ({"dataset": "diabetes", "loss": "binary_crossentropy"}, "loss", "the labels are numbers"),
        ({"dataset": "diabetes", "labels": "one_hot"}, "labels", "target of diabetes is a number"),
        ({"file": "a.csv", "labels": "one_hot", "loss": "sparse_categorical_crossentropy"}, "loss", "integer classes"),
        ({"file": "a.csv", "loss": "mean_squared_error", "output": "softmax"}, "output", "linear"),
    ],
)
def test_contradictions_are_refused_at_submit_and_before_a_training(
    config: dict[str, Any], field: str, words: str
) -> None:
    error = only(check(config, SPACE))
    assert error.field == f"objective.config.{field}"
    assert words in error.expected
    with pytest.raises(InvalidRequest) as caught:
        parse(config)
    assert [e.field for e in caught.value.errors] == [field]


@pytest.mark.parametrize(
    ("config", "parameters", "fields"),
    [
        (
            {"dataset": "digits"},
            {"loss": choices("auto", "mean_squared_error", "sparse_categorical_crossentropy")},
            ["space.loss.choices.1"],
        ),
        # Possible with labels: number, which is among the choices.
        (
            {"dataset": "digits"},
            {"loss": choices("auto", "mean_squared_error"), "labels": choices("auto", "number")},
            [],
        ),
        (
            {"dataset": "iris", "reduce_lr_on_plateau": True},
            {"learning_rate_schedule": choices("constant", "cosine")},
            ["space.learning_rate_schedule.choices.1"],
        ),
        (
            {"dataset": "iris", "test_fraction": 0.6},
            {"validation_fraction": {"type": "float", "low": 0.1, "high": 0.4}},
            ["space.validation_fraction.high"],
        ),
        ({}, {"dataset": choices("digits", "wine")}, []),
        ({"file": "a.csv"}, {"dataset": choices("digits")}, ["space.dataset.choices.0"]),
        # Where it does not apply there would be no data at all.
        (
            {},
            {"file": choices("a.csv", when={"amsgrad": [True]}), "amsgrad": choices(True, False)},
            ["space.file.when"],
        ),
    ],
)
def test_a_choice_that_fits_no_other_option_is_refused(
    config: dict[str, Any], parameters: dict[str, Any], fields: list[str]
) -> None:
    assert [error.field for error in check(config, space(**parameters))] == fields


def test_parse_refuses_unknown_options_by_name() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({"dataset": "digits", "momentun": 0.9})
    assert "did you mean momentum?" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv",
        "/etc/passwd.csv",
        "a/../b.csv",
        ".hidden.csv",
        "a//b.csv",
        "a\\b.csv",
        "",
        "a/.b.csv",
        "c:x.csv",
    ],
)
def test_names_of_files_cannot_leave_the_data_folder(name: str) -> None:
    error = only(check({"file": name}, SPACE))
    assert error.field == "objective.config.file"
    assert "relative name inside the worker's data folder" in error.expected


@pytest.mark.parametrize("name", ["sales.csv", "2026/sales 1.parquet", "a-b_c.d.npz"])
def test_plain_names_of_files_are_accepted(name: str) -> None:
    assert check({"file": name}, SPACE) == []
