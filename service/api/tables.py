"""Tables as CSV that spreadsheets open without harm."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from caviar.contract import cells

CSV = "text/csv"
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
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue()
