"""A study becomes a form and a text, and comes back from both as it was."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract import study_text
from caviar.contract.mlp import DEFAULT_SPACE
from caviar.contract.study import StudySpec
from service.web.forms import texts, values
from service.web.forms.draft import from_pairs
from service.web.forms.filling import filled
from service.web.forms.reading import read
from tests.caviar.contract.spaces import SCALARS
from tests.service.web.forms.studies import JSON, LABELS, TEXTS, pairs, studies, text_of

EXAMPLES = sorted((Path(__file__).parents[4] / "examples").glob("*.yaml"))


@given(studies())
def test_a_study_comes_back_from_its_form(spec: StudySpec) -> None:
    found = read(from_pairs(pairs(filled(spec))))
    assert found.problems == []
    assert found.spec is not None
    assert text_of(found.spec) == text_of(spec)


def test_a_zero_keeps_its_sign() -> None:
    space = {"x": {"type": "float", "low": -0.0, "high": 1.0}}
    spec = StudySpec.model_validate({"name": "a", "objective": {"name": "A"}, "space": space})
    found = read(from_pairs(pairs(filled(spec))))
    assert found.spec is not None
    assert text_of(found.spec) == text_of(spec)


@given(studies())
def test_a_study_comes_back_from_every_text(spec: StudySpec) -> None:
    body = texts.minimal(spec, None)
    python = texts.as_python(body)
    call = python[python.index("create_study(") + len("create_study(") : -2]
    for came in (study_text.load(texts.as_yaml(body)), json.loads(texts.as_json(body)), ast.literal_eval(call)):
        assert text_of(StudySpec.model_validate(came)) == text_of(spec)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_come_back(path: Path) -> None:
    spec = StudySpec.model_validate(study_text.load(path.read_text()))
    found = read(from_pairs(pairs(filled(spec))))
    assert found.spec is not None
    assert text_of(found.spec) == text_of(spec)


def test_the_default_space_stands_in_the_form_and_not_in_the_text() -> None:
    spec = StudySpec.model_validate({"name": "a", "objective": {"name": "mlp"}})
    found = read(filled(spec, DEFAULT_SPACE))
    assert found.spec is not None
    assert found.spec.space == DEFAULT_SPACE
    assert texts.minimal(found.spec, DEFAULT_SPACE) == {"name": "a", "objective": {"name": "mlp"}}


def test_a_condition_is_told_last() -> None:
    space = {"a": {"when": {"b": [1]}, "type": "int", "low": 1, "high": 3}, "b": {"type": "int", "low": 1, "high": 2}}
    spec = StudySpec.model_validate({"name": "a", "objective": {"name": "Line"}, "space": space})
    assert "  a: {type: int, low: 1, high: 3, when: {b: [1]}}" in texts.as_yaml(texts.minimal(spec, None))


def test_a_file_is_written_as_a_person_would() -> None:
    body: dict[str, Any] = {
        "name": "a-study",
        "objective": {"name": "mlp", "config": {"dataset": "digits"}},
        "space": {
            "learning_rate": {"type": "float", "low": 0.0001, "high": 0.1, "scale": "log"},
            "units": {"type": "int", "low": 16, "high": 64, "when": {"optimizer": ["adam", "true"]}},
        },
        "early_stopping": None,
        "budget": {"max_trials": 30, "max_epochs": 12},
        "tags": {"why": "a: b"},
    }
    assert texts.as_yaml(body).splitlines() == [
        "name: a-study",
        "objective: {name: mlp, config: {dataset: digits}}",
        "space:",
        "  learning_rate: {type: float, low: 0.0001, high: 0.1, scale: log}",
        '  units: {type: int, low: 16, high: 64, when: {optimizer: [adam, "true"]}}',
        "early_stopping: null",
        "budget: {max_trials: 30, max_epochs: 12}",
        'tags: {why: "a: b"}',
    ]


def same(first: Any, second: Any) -> bool:
    return json.dumps(first) == json.dumps(second)


@given(JSON)
def test_values_come_back(value: Any) -> None:
    assert same(values.anything(values.written(value)), value)


@given(st.lists(SCALARS, min_size=1, max_size=5))
def test_lists_come_back(choices: list[Any]) -> None:
    assert same(values.listed(values.written_list(choices)), choices)


@given(LABELS | TEXTS)
def test_labels_come_back(text: str) -> None:
    written = values.written_label(text)
    assert values.label(written) == text
    assert written.isprintable() or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 0.0001),
        (".5", 0.5),
        ("32", 32),
        ('"32"', "32"),
        ("true", True),
        ("True", True),
        ("tRUE", "tRUE"),
        ("null", None),
        ("on", "on"),
        ("[1, 2]", [1, 2]),
        ("3x", "3x"),
    ],
)
def test_a_text_is_read_as_in_a_study_file(text: str, value: Any) -> None:
    assert same(values.anything(text), value)
    assert same(study_text.load(f"key: {text}")["key"], value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90 s", 90), ("1.5 h", 5400), ("30min", 1800), ("2 d", 172800), ("1e3", 1000)]
)
def test_durations(text: str, seconds: float) -> None:
    assert values.duration(text) == seconds
    assert values.duration(values.written_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "two hours", "3 weeks", "h", "1e400", "1e999 h", "nan"])
def test_no_durations(text: str) -> None:
    with pytest.raises(values.Unreadable, match="a duration, such as 90 s"):
        values.duration(text)


def test_amounts_of_memory() -> None:
    assert values.memory("8 GiB") == 2**33
    assert values.memory("0.5 GiB") == 2**29
    assert values.written_memory(2**33) == "8 GiB"
    assert values.written_memory(1000) == "1000"
    with pytest.raises(values.Unreadable, match="such as 8 GiB"):
        values.memory("8 GB")
    with pytest.raises(values.Unreadable, match="such as 8 GiB"):
        values.memory("0.3")


@pytest.mark.parametrize("text", ["a = 1; a = 2", "a", "= 1", "a = ", "a = 1,"])
def test_no_conditions(text: str) -> None:
    with pytest.raises(values.Unreadable):
        values.condition(text)
