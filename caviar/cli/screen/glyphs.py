"""Small pictures of characters: bars, stacked bars, places on a scale, curves in Braille."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.text import Text

from caviar.cli.console import Line
from caviar.contract.states import TrialState

_EIGHTHS = " ▏▎▍▌▋▊▉"
_TRACK = "·"
# Dots of a Braille character from the top row to the bottom row, of its left and its right column.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800
_ROWS = 4
STATES: Mapping[TrialState, tuple[str, str]] = {
    TrialState.RUNNING: ("▓", "cyan"),
    TrialState.WAITING: ("░", "bright_black"),
    TrialState.PAUSED: ("▚", "yellow"),
    TrialState.COMPLETE: ("█", "green"),
    TrialState.PRUNED: ("▒", "magenta"),
    TrialState.FAILED: ("╳", "red"),
    TrialState.CANCELLED: ("-", "bright_black"),
}
"""Fill and colour of each state, in the order of their life; fills differ, for terminals without colours."""


def bar(share: float, width: int, style: str = "cyan") -> Text:
    """A bar that is filled from the left.

    Args:
        share: 0 to 1; what lies outside is drawn as the nearer end.
        width: Characters.
        style: Of the filled part.
    """
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Line.assemble((filled, style), (_TRACK * (width - len(filled)), "bright_black"))


def window(low: float, high: float, width: int, mark: float | None = None, style: str = "cyan") -> Text:
    """A part of a scale, with a mark on it.

    Args:
        low: Left end of the part, 0 to 1.
        high: Right end of the part, 0 to 1.
        width: Characters.
        mark: Where the mark stands, 0 to 1; None for none.
        style: Of the part.
    """
    first = min(int(low * width), width - 1)
    last = max(first, min(math.ceil(high * width) - 1, width - 1))
    place = None if mark is None else min(int(mark * width), width - 1)
    text = Line()
    for column in range(width):
        if column == place:
            text.append("●", "bold")
        elif first <= column <= last:
            text.append("━", style)
        else:
            text.append("─", "bright_black")
    return text


def stacked(counts: Mapping[TrialState, int], total: int, width: int) -> Text:
    """Trials by state as parts of one bar; every state that occurs has at least one character.

    Args:
        counts: Trials by state.
        total: Trials that the whole bar stands for.
        width: Characters.
    """
    whole = max(total, sum(counts.values()), 1)
    lengths = {state: max(1, round(width * counts[state] / whole)) for state in STATES if counts.get(state)}
    while sum(lengths.values()) > width:
        # The longest part can spare a character best.
        lengths[max(lengths, key=lambda state: lengths[state])] -= 1
    text = Line()
    for state, length in lengths.items():
        text.append(STATES[state][0] * length, STATES[state][1])
    return text.append(_TRACK * (width - len(text)), "bright_black")


def legend(counts: Mapping[TrialState, int]) -> Text:
    """What the fills of `stacked` stand for, with the counts."""
    parts = [
        Line.assemble((glyph, style), f" {counts[state]:,} {state}")
        for state, (glyph, style) in STATES.items()
        if counts.get(state)
    ]
    return Line("  ").join(parts)


def braille(values: Sequence[float], width: int) -> str:
    """A curve in one line of Braille characters, four dots high and two per character wide.

    Args:
        values: Finite numbers, any count; if all are positive they are drawn on a logarithmic scale.
        width: Most characters; of more values than dots, evenly spaced ones are drawn, the last among them.
    """
    if not values or width < 1:
        return ""
    dots = 2 * width
    if len(values) > dots:
        values = [values[(position + 1) * len(values) // dots - 1] for position in range(dots)]
    if min(values) > 0:
        # Losses fall by factors: on a linear scale all but the first would lie at the bottom.
        values = [math.log(value) for value in values]
    low, high = min(values), max(values)
    span = high - low or 1.0
    cells = [0] * (-(-len(values) // 2))
    before: int | None = None
    for column, value in enumerate(values):
        row = round((high - value) / span * (_ROWS - 1))
        # A steep step is drawn as one line from the row before.
        first, last = (row, row) if before is None or abs(before - row) < 2 else sorted((row, before))
        for dot in range(first + (before is not None and before < row and first != last), last + 1):
            cells[column // 2] |= _DOTS[column % 2][dot]
        before = row
    return "".join(chr(_BLANK + cell) for cell in cells)
