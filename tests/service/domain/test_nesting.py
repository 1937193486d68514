"""How deep and how large a JSON text is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.nesting import is_deeper, num_values, repeated_key

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}"\\,x', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def _depth(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, (dict, list)) else 0


def _count(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + sum(map(_count, inner)) if isinstance(value, (dict, list)) else 1


@given(_JSON)
def test_the_depth_is_that_of_what_is_built(value: Any) -> None:
    text = json.dumps(value).encode()
    depth = _depth(value)
    assert not is_deeper(text, depth)
    assert depth == 0 or is_deeper(text, depth - 1)
    assert num_values(text) >= _count(value)


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b"{[" * 50_000, b"[" * 50_000 + b"]" * 50_000, b'{"a":' * 100, b'["\\\\"' + b"[" * 70],
)  # fmt: skip
def test_what_would_go_too_deep_is_seen(text: bytes) -> None:
    assert is_deeper(text, 64)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'"' + b"[" * 1000,
        b'"\\"' + b"[" * 1000 + b'"',
        b"[]" * 1000,
        b"]" * 1000,
        b"]]" + b"[" * 4,
        b'{"a": "' + b"{" * 99 + b'"}',
    ],
)
def test_brackets_that_open_nothing_do_not_count(text: bytes) -> None:
    assert not is_deeper(text, 2)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b'{"a": 1, "b": {"a": 2}}', None),
        (b'{"a": 1, "b": 2, "a": 3}', "a"),
        (b'[{"x": {"k": 1, "\\u006b": 2}}]', "k"),
        (b'{"a": 1, "a"', None),
        (b"\xff", None),
        (b"1" * 5000, None),
        (b"", None),
    ],
)
def test_a_key_that_comes_twice_is_found(text: bytes, key: str | None) -> None:
    assert repeated_key(text) == key
