"""Tables without lines whose columns fit a width: those that matter least are left out first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from caviar.cli.console import Line

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        heading: Above it.
        cells: One per row.
        importance: Columns of less importance are left out before those of more.
        is_right: Whether it is aligned to the right.
        least: Characters that it may be cut to before others are left out; None for never.
    """

    heading: str
    cells: Sequence[Text]
    importance: int
    is_right: bool = False
    least: int | None = None

    @property
    def width(self) -> int:
        """Characters that it needs."""
        return max([Line(self.heading).cell_len, *(cell.cell_len for cell in self.cells)])

    @property
    def narrowest(self) -> int:
        """Characters that it needs at least."""
        return self.width if self.least is None else min(self.width, self.least)


def lines(columns: Sequence[Column], width: int) -> list[Text]:
    """A line of headings and one per row, none longer than the width.

    Args:
        columns: From the left to the right, each with as many cells.
        width: Characters there are.
    """
    shown = fitting(columns, width)
    spare = width - sum(column.narrowest for column in shown) - _GAP * (len(shown) - 1)
    widths = []
    for column in shown:
        more = min(column.width - column.narrowest, max(spare, 0))
        spare -= more
        widths.append(min(column.narrowest + more, width))
    num_rows = len(shown[0].cells) if shown else 0
    heads: list[Text] = [Line(column.heading, "dim") for column in shown]
    rows = [heads, *([column.cells[row] for column in shown] for row in range(num_rows))]
    return [_line(cells, shown, widths) for cells in rows]


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that have room side by side, in their order."""
    shown = list(columns)
    while len(shown) > 1 and sum(column.narrowest + _GAP for column in shown) - _GAP > width:
        # Of equals the last one goes.
        least = min(reversed(shown), key=lambda column: column.importance)
        shown.remove(least)
    return shown


def _line(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> Text:
    line = Line(no_wrap=True)
    for position, (cell, column, width) in enumerate(zip(cells, columns, widths, strict=True)):
        if position:
            line.append(" " * _GAP)
        shown = cell.copy()
        shown.truncate(width, overflow="ellipsis")
        room = width - shown.cell_len
        if column.is_right:
            line.append(" " * room)
        line.append_text(shown)
        if not column.is_right and position < len(cells) - 1:
            line.append(" " * room)
    return line
