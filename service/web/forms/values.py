"""Single values as people type them, and back.

A text is read by the rules of YAML 1.2, so a form and a study file mean the same by the same characters: `1e-4` is a
number, `true` a boolean, `null` nothing, `adam` a text, and `"32"` the text 32.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None}
_AMOUNT = re.compile(r"([-+.0-9eE]*[0-9.])\s*([A-Za-z]*)")
_SECONDS = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Unreadable(ValueError):
    """A text that does not say what it should.

    Attributes:
        expected: What would be read, and how to fix it.
    """

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def scalar(text: str) -> Any:
    """A text, number, boolean or null.

    Raises:
        Unreadable: It begins with a quotation mark that nothing closes, or has too many digits.
    """
    text = text.strip()
    if text.startswith('"'):
        return _json(text, 'a text in quotation marks, such as "a, b"; write \\" for a quotation mark inside')
    if text.lower() in _CONSTANTS and text in (text.lower(), text.upper(), text.capitalize()):
        return _CONSTANTS[text.lower()]
    return number(text) if _NUMBER.fullmatch(text) else text


def anything(text: str) -> Any:
    """A JSON value, of which a text needs no quotation marks.

    Raises:
        Unreadable: It begins as a list or an object and is no JSON.
    """
    if not text.strip():
        raise Unreadable('a value; write "" for an empty text')
    if text.strip()[0] in "[{":
        return _json(text, 'JSON, such as [64, 32] or {"a": 1}; put a text that begins so in quotation marks')
    return scalar(text)


def _json(text: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(expected) from None


def written(value: Any) -> str:
    """The shortest text that `anything` and `listed` read as this value."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and _is_plain(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    is_clean = text == text.strip() and text.isprintable() and not any(mark in text for mark in '",;')
    if not text or not is_clean or text[0] in "[{":
        return False
    try:
        return isinstance(scalar(text), str)
    except Unreadable:
        return False


def number(text: str) -> int | float:
    """A number.

    Raises:
        Unreadable: It is none.
    """
    text = text.strip()
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
    except ValueError:  # Python reads no more than 4,300 digits.
        raise Unreadable("a number of fewer digits") from None
    if not _NUMBER.fullmatch(text):
        raise Unreadable("a number, such as 0.001 or 1e-3")
    return float(text)


def whole(text: str) -> int:
    """A whole number.

    Raises:
        Unreadable: It is none.
    """
    if not _INTEGER.fullmatch(text.strip()):
        raise Unreadable("a whole number, such as 60, in digits only")
    return int(number(text))


def plain(text: str) -> str:
    """A text as it is, without blanks at its ends."""
    return text.strip()


def label(text: str) -> str:
    """A text, in quotation marks or as it is, without blanks at its ends.

    Raises:
        Unreadable: It begins with a quotation mark that nothing closes.
    """
    text = text.strip()
    return str(scalar(text)) if text.startswith('"') else text


def written_label(text: str) -> str:
    """A text; in quotation marks where an input on one line would lose something of it."""
    is_clean = text and text == text.strip() and text.isprintable() and not text.startswith('"')
    return text if is_clean else json.dumps(text, ensure_ascii=False)


def short(value: float) -> str:
    """A number of a field that knows it is one: 1.0 is written 1."""
    if isinstance(value, int):
        return str(value)
    # A zero may have a sign, which an integer has no room for.
    is_whole = value.is_integer() and abs(value) < 1e15 and str(value) != "-0.0"
    return str(int(value)) if is_whole else repr(value)


def duration(text: str) -> int | float:
    """Seconds, from a number with or without a unit.

    Raises:
        Unreadable: It is none.
    """
    return _amount(text, _SECONDS, "a duration, such as 90 s, 30 min, 2 h or 1 d")


def written_duration(seconds: float) -> str:
    """A duration in the largest unit that keeps it a whole number."""
    return _written_amount(seconds, _SECONDS)


def memory(text: str) -> int:
    """Bytes, from a number with or without a unit.

    Raises:
        Unreadable: It is none, or no whole number of bytes.
    """
    expected = "an amount of memory, such as 8 GiB or 500 MiB"
    amount = _amount(text, _BYTES, expected)
    if isinstance(amount, float) and not amount.is_integer():
        raise Unreadable(expected)
    return int(amount)


def written_memory(num_bytes: float) -> str:
    """An amount of memory in the largest unit that keeps it a whole number."""
    return _written_amount(num_bytes, _BYTES)


def _amount(text: str, units: dict[str, int], expected: str) -> int | float:
    found = _AMOUNT.fullmatch(text.strip())
    factor = units.get(found[2]) if found else None
    if found is None or factor is None or not _NUMBER.fullmatch(found[1]):
        raise Unreadable(expected)
    amount = number(found[1])
    if amount > 1e15 or amount < -1e15:
        raise Unreadable(expected)
    return amount * factor


def _written_amount(amount: float, units: dict[str, int]) -> str:
    fitting = [unit for unit, factor in units.items() if unit and factor <= amount and amount % factor == 0]
    if not fitting or amount < min(factor for unit, factor in units.items() if factor > 1):
        return short(amount)
    return f"{int(amount // units[fitting[-1]])} {fitting[-1]}"


def listed(text: str) -> list[Any]:
    """Values between commas.

    Raises:
        Unreadable: One of them is empty or cannot be read.
    """
    parts = list(_split(text, ","))
    if not all(part.strip() for part in parts):
        raise Unreadable('values between commas, such as adam, sgd; write "" for an empty text')
    return [scalar(part) for part in parts]


def written_list(values: Sequence[Any]) -> str:
    """Values between commas."""
    return ", ".join(map(written, values))


def condition(text: str) -> dict[str, list[Any]]:
    """Parents and the values for which a parameter applies.

    Raises:
        Unreadable: It is no condition.
    """
    found: dict[str, list[Any]] = {}
    for part in _split(text, ";"):
        parent, equals, values = part.partition("=")
        if not equals or not parent.strip() or parent.strip() in found:
            raise Unreadable("parents, each once, and their values: optimizer = adam, adamw; num_layers = 2, 3")
        found[parent.strip()] = listed(values)
    return found


def written_condition(when: dict[str, list[Any]]) -> str:
    """Parents and the values for which a parameter applies."""
    return "; ".join(f"{parent} = {written_list(values)}" for parent, values in when.items())


def _split(text: str, mark: str) -> Iterator[str]:
    # A quotation mark opens only where a value begins: 5" is no quotation.
    start, is_quoted, is_escaped, may_open = 0, False, False, True
    for position, character in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif is_quoted:
            is_escaped = character == "\\"
            is_quoted = character != '"'
        elif character == '"' and may_open:
            is_quoted = True
        elif character == mark:
            yield text[start:position]
            start = position + 1
        may_open = character in ",;=" or (may_open and character.isspace())
    yield text[start:]
