"""Pictures of characters: what they show, and that they keep their width."""

from __future__ import annotations

import pytest
from rich.text import Text

from caviar.cli.screen import glyphs
from caviar.cli.screen.columns import Column, fitting, lines
from caviar.contract.states import TrialState


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "····"), (1.0, "████"), (0.5, "██··"), (0.53, "██▏·"), (-3.0, "····"), (9.0, "████"), (1 / 32, "▏···")],
)
def test_a_bar_is_filled_from_the_left(share: float, text: str) -> None:
    assert glyphs.bar(share, 4).plain == text


def test_a_window_marks_its_part_and_the_best() -> None:
    assert glyphs.window(0.25, 0.75, 8).plain == "──━━━━──"
    assert glyphs.window(0.0, 1.0, 4, mark=1.0).plain == "━━━●"
    assert glyphs.window(0.5, 0.5, 4).plain == "──━─", "an empty window still shows where it is"
    assert glyphs.window(1.0, 1.0, 4).plain == "───━"


def test_every_state_that_occurs_is_seen() -> None:
    counts = {TrialState.COMPLETE: 9_990, TrialState.RUNNING: 1, TrialState.FAILED: 9}
    bar = glyphs.stacked(counts, 10_000, 20).plain
    assert len(bar) == 20
    assert {"▓", "█", "╳"} <= set(bar)
    assert glyphs.stacked({}, 10, 5).plain == "·····"
    assert len(glyphs.stacked(dict.fromkeys(TrialState, 1), 0, 3).plain) == 3
    assert glyphs.legend(counts).plain == "▓ 1 running  █ 9,990 complete  ╳ 9 failed"


def test_fills_of_states_differ_for_terminals_without_colours() -> None:
    assert set(glyphs.STATES) == set(TrialState)
    assert len({glyph for glyph, _ in glyphs.STATES.values()}) == len(TrialState)


def test_a_falling_curve_falls() -> None:
    assert len(glyphs.braille([4.0, 3.0, 2.0, 1.0], 8)) == 2, "two values share a character"
    rows = [_rows(cell) for cell in glyphs.braille([8.0, 4.0, 2.0, 1.0], 8)]
    assert rows == [{0, 1}, {2, 3}], "on a logarithmic scale, halves are equal steps"


def test_a_constant_curve_is_a_line_and_an_empty_one_nothing() -> None:
    assert {frozenset(_rows(cell)) for cell in glyphs.braille([0.5] * 6, 8)} == {frozenset({0})}
    assert glyphs.braille([], 8) == ""
    assert glyphs.braille([1.0], 0) == ""


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    drawn = glyphs.braille([1.0] * 999 + [-1.0], 10)
    assert len(drawn) == 10
    assert 3 in _rows(drawn[-1])
    assert 3 not in _rows(drawn[-2])


def _rows(cell: str) -> set[int]:
    """Rows of the dots of a Braille character, from the top."""
    dots = ord(cell) - 0x2800
    bits = {0x01: 0, 0x02: 1, 0x04: 2, 0x40: 3, 0x08: 0, 0x10: 1, 0x20: 2, 0x80: 3}
    return {row for bit, row in bits.items() if dots & bit}


def columns() -> list[Column]:
    return [
        Column("name", [Text("a-long-name"), Text("b")], 100, least=6),
        Column("value", [Text("0.25"), Text("12.5")], 90, is_right=True),
        Column("extra", [Text("x" * 10), Text("y")], 10),
    ]


@pytest.mark.parametrize(
    ("width", "headings"),
    [(40, ["name", "value", "extra"]), (25, ["name", "value", "extra"]), (20, ["name", "value"]), (5, ["name"])],
)
def test_columns_go_in_the_order_of_their_importance(width: int, headings: list[str]) -> None:
    assert [column.heading for column in fitting(columns(), width)] == headings
    assert all(line.cell_len <= width for line in lines(columns(), width))


def test_columns_are_aligned_and_cut() -> None:
    wide = [line.plain for line in lines(columns(), 40)]
    assert wide == ["name         value  extra", "a-long-name   0.25  xxxxxxxxxx", "b             12.5  y"]
    assert lines(columns(), 25)[1].plain == "a-lon…   0.25  xxxxxxxxxx"
