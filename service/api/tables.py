"""Tables as CSV that spreadsheets open without harm."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from caviar.contract import cells

CSV = "text/csv"
_ENDING = "\r\n"
DOWNLOADED: dict[str, Any] = {
    "Content-Disposition": {
        "description": "Name under which a browser stores the file.",
        "required": True,
        "schema": {"type": "string", "pattern": '^attachment; filename="[A-Za-z0-9._-]+"$'},
    }
}
"""Headers of a file, as the OpenAPI document tells them."""


def safe_cell(cell: object) -> object:
    """A cell that is shown as it is and never run."""
    return cells.safe(cell) if isinstance(cell, str) else cell


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows as lines of CSV."""
    # Python quotes a carriage return only where lines end with one; ours end with a line feed all the same.
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=_ENDING)
    lines = []
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
        lines.append(buffer.getvalue().removesuffix(_ENDING))
        buffer.seek(0)
        buffer.truncate()
    return "".join(f"{line}\n" for line in lines)
