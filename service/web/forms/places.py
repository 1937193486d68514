"""Which input an error is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caviar.contract.errors import FieldError
from service.web.forms import values
from service.web.forms.draft import COLUMNS, PLUGINS, Draft
from service.web.forms.fields import INPUTS, STOPS_EARLY, WARM_START

_TABLES = {"objective.config": "config", "requires.labels": "labels", "tags": "tags", "space": "space"}
_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a form.

    Attributes:
        at: Name of the input; None if it is about no single one.
        expected: What would be accepted, and how to fix it.
        received: What stands there.
        words: What to tell in place of both; empty for nothing else.
    """

    at: str | None
    expected: str
    received: Any = ""
    words: str = ""

    @property
    def sentence(self) -> str:
        """What to tell at the input."""
        if self.words:
            return self.words
        is_number = isinstance(self.received, float)
        text = values.short(self.received) if is_number else values.written(self.received)
        if text in ('""', "nothing", "null"):
            return f"Expected {self.expected}"
        return f"Received {text[:_MAX_SHOWN]}, expected {self.expected}"


def place(draft: Draft, error: FieldError) -> Problem:
    """Put an error of a study to the input that it is about."""
    return Problem(_input(draft, error.field), error.expected, error.received)


def _input(draft: Draft, path: str) -> str | None:
    for prefix, table in _TABLES.items():
        if path.startswith(f"{prefix}."):
            return _cell(draft, table, path.removeprefix(f"{prefix}."))
    head, _, rest = path.partition(".")
    if head in PLUGINS:
        option = f"{head}.{draft.kind(head)}.{rest.split('.')[0]}"
        return option if option in draft.texts else f"{head}.kind"
    if head == WARM_START:
        return WARM_START
    if path in _TABLES:
        return f"add.{_TABLES[path]}"
    if path in INPUTS or path == STOPS_EARLY:
        return path
    return "budget.max_trials" if head == "budget" else None


def _cell(draft: Draft, table: str, rest: str) -> str | None:
    # Names of options and tags may hold dots themselves.
    for key, row in draft.rows[table].items():
        name = row["name"].strip()
        if rest == name and table == "space":
            return f"{table}.{key}.name"
        if rest == name or rest.startswith(f"{name}."):
            column = rest.removeprefix(f"{name}.").split(".")[0] if table == "space" else "value"
            return f"{table}.{key}.{column if column in COLUMNS[table] else 'name'}"
    return None
