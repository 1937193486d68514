"""A study on a terminal of any size: what matters most gets its lines first."""

from __future__ import annotations

from rich.console import Console, Group
from rich.text import Text

from caviar.cli.console import Line
from caviar.cli.screen import parts
from caviar.cli.screen.looking import MAX_RUNNING, Look

_HEAD = 4
_LEAST_BOARD = 4
_ZOOM_FROM = 36
_MAX_ZOOM = 11


def board_rows(console: Console) -> int:
    """Trials of the leaderboard that a terminal can show at most."""
    return max(_LEAST_BOARD, console.height - _HEAD - 3)


def draw(look: Look, console: Console, *, note: Text | None = None) -> Group:
    """The whole screen, no wider and no higher than the terminal.

    Args:
        look: What is shown.
        console: Whose size it must fit.
        note: A last line, such as why nothing is new.
    """
    return Group(*screen(look, console.width, console.height, note=note))


def screen(look: Look, width: int, height: int, *, note: Text | None = None) -> list[Text]:
    """The lines of the screen.

    Args:
        look: What is shown.
        width: Characters of a line.
        height: Lines there are.
        note: A last line.
    """
    notes = [] if note is None else [note]
    head = parts.head(look, width)
    room = height - len(head) - len(notes) - 1
    # The leaderboard takes what the others leave, and the others take no more than it can spare.
    running = parts.running(look, width, min(MAX_RUNNING, max(1, room // 5)))
    workers = parts.workers(look, width, max(1, room // 6))
    zoom = parts.zoom(look, width, min(_MAX_ZOOM, room // 4)) if height >= _ZOOM_FROM else []
    below = [part for part in (running, zoom, workers) if part]
    while below and room - sum(len(part) + 1 for part in below) < _LEAST_BOARD + 1:
        below.pop()
    left = room - sum(len(part) + 1 for part in below)
    board = parts.board(look, width, max(left - 1, 1))
    shown = [*head, Line(), *board]
    for part in below:
        shown += [Line(), *part]
    return [*shown[: max(height - len(notes), 1)], *notes]
