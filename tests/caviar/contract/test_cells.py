"""Cells of tables: no spreadsheet runs them, and they are read back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.cells import plain, safe

_FORMULAS = [
    "=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\ufeff=1", "\u200b=1",
    "\uff1d1", "\uff0b1", "\uff0d1",
    "\uff20a", "\ufe631", '"=1', "'=1", "\u201c=1", "\u00a0=1", "\x00=1", "\u202e=1", "-", "=cmd|' /C calc'!A0",
]  # fmt: skip


@pytest.mark.parametrize("text", _FORMULAS)
def test_what_could_be_a_formula_gets_an_apostrophe(text: str) -> None:
    assert safe(text) == f"'{text}"
    assert plain(safe(text)) == text


@pytest.mark.parametrize("text", ["", "sgd", "1e-4", "a=b", "3-4", "\u0627\u0644", "x@y", "#1", " ", "(=1)"])
def test_what_is_none_stays(text: str) -> None:
    assert safe(text) == text
    assert plain(text) == text


@pytest.mark.parametrize("cell", ["'quoted'", "'s", "''"])
def test_an_apostrophe_that_somebody_wrote_stays(cell: str) -> None:
    assert plain(safe(cell)) == cell


@given(st.text())
def test_every_text_is_read_back_as_it_was(text: str) -> None:
    assert plain(safe(text)) == text
    assert not safe(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
