"""What is drawn: numbers at every edge, texts with every trick of Unicode, good bodies with something wrong in them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

EDGES = (
    0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-300, 1e-17, math.nextafter(1.0, 0.0), 1.0, 1.0 + 2**-52,
    0.1, 0.3, 0.9, 0.999, 0.9999999999999999, -1.0, 1e15, 2.0**53, 2.0**53 + 2, 1e16, 1e17, 1e300, 1e308,
    1.7976931348623157e308, -1.7976931348623157e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
"""Real numbers at which arithmetic goes wrong."""
WHOLE_EDGES = (
    0, 1, 2, -1, 7, 100, 2**31 - 1, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53), 2**63, 2**64, 10**18, 10**400,
    -(10**400),
)  # fmt: skip
"""Whole numbers at which something overflows."""
TRICKS = (
    "", " ", "\0", "a\0b", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "\r\n", "a\nb", "\t=1+1", "=1+1",
    "+1", "-1+2", "@SUM(A1)", "\uff1d1+1", " =1", "\ufeff=1", "'=1", "\u202eevil\u202c", "\u2066a\u2069", "\u200b",
    "a\u200db", "e\u0301" * 50, "\u0301" * 60, "\ud800", "x\udfff", "\U0001f469\u200d\U0001f467", "\U000e0001",
    "\ufffe", "\u0627" * 9, "\u0430", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}",
    "${7*7}", "</script><svg onload=alert(1)>", "javascript:alert(1)", "%0d%0aSet-Cookie: a=b",
    "../../etc/passwd", "__proto__",
    "constructor", "NaN", "Infinity", "1e999", "0x10", "1_000", "\u0663", "\u00b2", "true", "null",
    "x" * 201, "\u00e9" * 1001,
)  # fmt: skip
"""Texts that have broken something somewhere."""

floats = st.one_of(st.sampled_from(EDGES), st.floats(), st.floats(min_value=0, max_value=1))
wholes = st.one_of(st.sampled_from(WHOLE_EDGES), st.integers(-10, 10), st.integers())
numbers = st.one_of(floats, wholes)
texts = st.one_of(st.sampled_from(TRICKS), st.text(st.characters(), max_size=40))
scalars = st.one_of(numbers, texts, st.booleans(), st.none())
values = st.recursive(
    scalars,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(texts, below, max_size=4)),
    max_leaves=12,
)
"""Any JSON value, and some that JSON lacks."""


def _places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(body, dict):
        for name in body:
            yield from _places(body[name], (*path, name))
    elif isinstance(body, list):
        for position, below in enumerate(body):
            yield from _places(below, (*path, position))


def _at(body: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        body = body[step]
    return body


@st.composite
def damaged(draw: st.DrawFn, good: Any, *, most: int = 3) -> Any:
    """A good body with up to so many of its parts replaced, removed, doubled or given a neighbour."""
    body = copy.deepcopy(draw(good) if isinstance(good, st.SearchStrategy) else good)
    for _ in range(draw(st.integers(0, most))):
        path = draw(st.sampled_from(list(_places(body))))
        if not path:
            continue
        parent, step = _at(body, path[:-1]), path[-1]
        how = draw(st.sampled_from(("replace", "replace", "replace", "remove", "add")))
        if how == "replace":
            parent[step] = draw(values)
        elif how == "remove":
            del parent[step]
        elif isinstance(parent, dict):
            parent[draw(texts)] = draw(values)
        else:
            parent.append(draw(st.one_of(values, st.just(parent[step]))))
    return body


@st.composite
def bytes_damaged(draw: st.DrawFn, good: bytes, *, most: int = 6) -> bytes:
    """A good file with some of its bytes changed, removed, repeated or put in, or its end cut off."""
    body = bytearray(good)
    for _ in range(draw(st.integers(0, most))):
        place = draw(st.integers(0, max(len(body) - 1, 0)))
        how = draw(st.sampled_from(("flip", "put", "cut", "remove", "repeat")))
        length = draw(st.sampled_from((1, 2, 4, 8, 64)))
        if how == "flip":
            body[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        elif how == "put":
            body[place:place] = draw(st.one_of(st.binary(max_size=8), st.just(b"\xff" * 8), st.just(b"\0" * 8)))
        elif how == "cut":
            del body[place:]
        elif how == "remove":
            del body[place : place + length]
        else:
            body[place:place] = body[place : place + length]
    return bytes(body)
