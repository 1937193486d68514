"""How deep and how large a JSON text is, found out before anything is built from it."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

# A backslash takes the next character with it, whatever it is; a text without an end reaches to the end of all.
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


def num_values(text: bytes) -> int:
    """How many values a JSON text has at most: each stands after a bracket or a comma."""
    return text.count(b",") + text.count(b"[") + text.count(b"{") + 1


def is_deeper(text: bytes, limit: int) -> bool:
    """Whether lists and objects are nested deeper than a limit.

    It takes time in proportion to the text, whatever the text is, and says nothing about text that is no JSON but that
    no parser would go deeper into it.

    Args:
        text: UTF-8.
        limit: Brackets that may be open at once.
    """
    if text.count(b"{") + text.count(b"[") <= limit:
        return False
    # All that is no bracket goes; what stays are steps up and down, as signed bytes.
    steps = np.frombuffer(_TEXT.sub(b"", text).translate(_STEPS, _NO_BRACKETS), np.int8)
    return bool(steps.size) and int(np.cumsum(steps, dtype=np.int32).max()) > limit


def repeated_key(text: bytes) -> str | None:
    """A key that an object of a JSON text holds twice; None if there is none, or if the text is no JSON."""
    try:
        json.loads(text, object_pairs_hook=_once)
    except _Repeated as found:
        return found.key
    except (ValueError, RecursionError):
        return None
    return None


class _Repeated(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Repeated(key)
            seen.add(key)
    return made
