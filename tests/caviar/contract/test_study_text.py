"""Studies written as YAML: read by the rules of YAML 1.2, and never larger than they look."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract import study_text
from tests.caviar.contract.spaces import SCALARS

VALUES = st.recursive(
    SCALARS | st.none(),
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.text(st.characters(codec="ascii")), below, max_size=4)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_json_is_yaml(value: object) -> None:
    text = json.dumps({"value": value}).replace("\x7f", "\\u007f")
    # Beyond the first plane, JSON writes two halves of a pair, which YAML reads as two characters.
    if not re.search(r"\\ud[89ab]", text.lower()):
        assert study_text.load(text) == {"value": value}


def test_aliases_are_read() -> None:
    assert study_text.load("a: &one [1]\nb: [*one, *one]\nc: {<<: {d: 2}}") == {
        "a": [1],
        "b": [[1], [1]],
        "c": {"d": 2},
    }


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (laughs(30), "it holds more than 500000 values"),
        ("[" * 5000, "nested more than 64 deep"),
        ("{a: " * 5000, "nested more than 64 deep"),
        ("a: &a [*a]", "an alias stands inside of what it stands for"),
        ("a: &a {b: {c: *a}}", "an alias stands inside of what it stands for"),
        ("a: " + "9" * 5000, "4300 digits"),
        ("{a: 1, a: 2}", "the key 'a' is there twice"),
        ("? [a]\n: b", "unhashable key"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: *b", "undefined alias"),
        ("a: [1", "expected"),
    ],
)
def test_what_no_study_holds_is_refused(text: str, told: str) -> None:
    with pytest.raises(yaml.YAMLError, match=told):
        study_text.load(text)
