"""Texts of others on a terminal: what would steer it, turn or break a line is shown as an escape and does nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import MutableMapping
from typing import Any

# Controls; marks that turn, join or hide what is beside them; lone surrogates; separators of lines and paragraphs.
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Scripts and pictures are written with these two, and they join no more than what is beside them.
_JOINERS = "\u200c\u200d"
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPANNING = ("exception", "stack")


def visible(text: str) -> str:
    r"""A text that takes one line and leaves a terminal as it is.

    Args:
        text: Any text.
    Returns:
        The text, with `\x1b` for an escape character, `\n` for a line break and `\u202e` for a mark that turns lines.
    """
    # Nearly all texts are printable: str.isprintable looks at each character once, in C.
    return text if text.isprintable() else "".join(map(_shown, text))


def visible_lines(text: str) -> str:
    """A text like `visible`, but with its line breaks and tabs, for programs and traces.

    Args:
        text: Any text.
    """
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))


def show(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make what a log line tells visible; a processor of structlog, to come right before one that writes for people."""
    return {visible(key): _told(key, value) for key, value in event.items()}


def _told(key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return visible_lines(value) if key in _SPANNING else visible(value)


def _shown(mark: str) -> str:
    if unicodedata.category(mark) not in _STEERING or mark in _JOINERS:
        return mark
    number = ord(mark)
    width, letter = (2, "x") if number < 0x100 else (4, "u") if number < 0x10000 else (8, "U")
    return _ESCAPES.get(mark) or f"\\{letter}{number:0{width}x}"
