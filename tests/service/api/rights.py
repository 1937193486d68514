"""The table of what each role may do, as docs/security.md has it, and the routes that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

_PAGE = Path(__file__).parents[3] / "docs" / "security.md"
_BEGIN, _END = "<!-- routes -->", "<!-- /routes -->"

COLUMNS = ("stranger", "viewer", "submitter", "worker", "admin", "share link")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        may: Whether each kind of caller is let in.
        elsewhere: What a token for other studies gets: `hidden`, `no`, or `–` where no study is concerned.
    """

    method: str
    path: str
    may: dict[str, bool]
    elsewhere: str


def table() -> dict[tuple[str, str], Row]:
    """The rows, by method and path."""
    text = _PAGE.read_text(encoding="utf-8")
    lines = text[text.index(_BEGIN) : text.index(_END)].splitlines()[4:]
    found = {}
    for line in filter(None, lines):
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        method, path, *may, elsewhere = cells
        assert set(may) <= {"yes", "no"}, line
        assert elsewhere in ("hidden", "no", "–"), line
        assert (method, path) not in found, f"{line} stands there twice"
        allowed = {column: word == "yes" for column, word in zip(COLUMNS, may, strict=True)}
        found[method, path] = Row(method, path, allowed, elsewhere)
    return found


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every route of an application, by method and path."""
    found = list(_routes(app.routes))
    assert len(found) > 120, "the walk must see the pages and the API"
    return found


def _routes(some: Any) -> Iterator[tuple[str, str]]:
    for route in some:
        path = getattr(route, "path_format", None) or getattr(route, "path", None)
        if path is None:  # A router that was included: FastAPI resolves its routes when asked.
            yield from _routes(route.effective_candidates())
        else:
            yield from ((method, path) for method in sorted(route.methods))
