"""Texts in cells of tables: shown by a spreadsheet as they are, never run by it, and read back unchanged."""

from __future__ import annotations

import unicodedata

_FORMULA_STARTS = frozenset("=+-@")
_LINE_STARTS = ("\t", "\r", "\n")
_QUOTES = frozenset("'\"`´‘’“”„«»‹›")
_MARK = "'"


def safe(text: str) -> str:
    """A text as it stands in a cell: with an apostrophe before it where a spreadsheet might run it.

    A text that begins with an apostrophe gets another one, so that `plain` gives back what came.
    """
    return f"{_MARK}{text}" if _is_marked(text) else text


def plain(cell: str) -> str:
    """The text that a cell holds; the opposite of `safe`."""
    return cell[1:] if cell.startswith(_MARK) and _is_marked(cell[1:]) else cell


def _is_marked(text: str) -> bool:
    return text.startswith((_MARK, *_LINE_STARTS)) or _is_formula(text)


def _is_formula(text: str) -> bool:
    """Whether the first sign that counts begins a formula.

    Programs pass over blanks, quotes and signs without a width, and take the wide forms for the narrow ones.
    """
    for sign in text:
        if unicodedata.normalize("NFKC", sign)[:1] in _FORMULA_STARTS:
            return True
        is_passed_over = sign.isspace() or sign in _QUOTES or unicodedata.category(sign) in ("Cc", "Cf", "Mn")
        if not is_passed_over:
            return False
    return False
