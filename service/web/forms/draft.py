"""A form as it was filled in: texts alone, whatever they say, so that nothing typed is lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from caviar.contract.errors import FieldError, InvalidRequest, TooLarge
from service.web.forms.fields import DO, INPUTS, PASTED, STOPS_EARLY, WARM_START

Row = dict[str, str]
"""The texts of one row, by column."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "config": ("name", "value"),
    "space": ("name", "type", "low", "high", "scale", "step", "choices", "ordered", "when"),
    "labels": ("name", "value"),
    "tags": ("name", "value"),
}
"""Columns of the tables whose rows can be added and removed, by table."""

PLUGINS = ("strategy", "pruner")
MAX_ROWS = 256
MAX_CHARACTERS = 20_000
MAX_PASTED = 100_000
_PLUGIN = re.compile(r"(strategy|pruner)\.(kind|[a-z_]{1,40}\.[^.]{1,100})")
_ROW = re.compile(r"(config|space|labels|tags)\.([0-9]{1,6})\.([a-z]+)")
_WORDS = {"config": "option", "space": "parameter", "labels": "label", "tags": "tag"}
_NEW_ROW = {"type": "float", "scale": "linear"}


@dataclass
class Draft:
    """The texts of a form.

    Attributes:
        texts: Of the inputs that stand alone, by name.
        rows: Of the tables, by table and key of the row, in the order shown.
        act: What the pressed button does; empty for a form that was sent by other means.
    """

    texts: dict[str, str] = field(default_factory=dict)
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {table: {} for table in COLUMNS})
    act: str = ""

    def text(self, name: str) -> str:
        """What stands in an input; empty if it was not sent, as a tick that is not set."""
        return self.texts.get(name, "")

    def kind(self, plugin: str) -> str:
        """Which strategy or pruner is chosen."""
        return self.text(f"{plugin}.kind")

    def options(self, plugin: str) -> dict[str, str]:
        """What stands in the options of the chosen strategy or pruner."""
        prefix = f"{plugin}.{self.kind(plugin)}."
        return {name.removeprefix(prefix): text for name, text in self.texts.items() if name.startswith(prefix)}

    def label(self, name: str) -> str:
        """What an input is called, for people: the row that it stands in, and its field."""
        row = _ROW.fullmatch(name)
        if row and row[2] in self.rows[row[1]]:
            named = self.rows[row[1]][row[2]]["name"].strip() or _WORDS[row[1]]
            return named if row[3] in ("name", "value") else f"{named}, {row[3]}"
        if name.startswith("add."):
            return _WORDS[name.removeprefix("add.")]
        return name.removesuffix(".name").removesuffix(".kind").split(".")[-1].replace("_", " ")

    def next_key(self, table: str) -> str:
        """A key that no row of a table has."""
        return str(max(map(int, self.rows[table]), default=-1) + 1)

    def add(self, table: str, **texts: str) -> str:
        """Add a row at the end and return its key."""
        key = self.next_key(table)
        filled = {**_NEW_ROW, **texts}
        self.rows[table][key] = {column: filled.get(column, "") for column in COLUMNS[table]}
        return key

    def replace(self, table: str, rows: Iterable[Row]) -> None:
        """Put other rows in place of those of a table."""
        self.rows[table] = {}
        for row in rows:
            self.add(table, **row)

    def edit(self) -> bool:
        """Do what the pressed button says to a row or an input.

        Returns:
            False if the button says something else.
        """
        verb, *words = self.act.split(" ", 2)
        table, key = (*words, "", "")[:2]
        rows = self.rows.get(table, {})
        if verb == "add" and table in self.rows and len(rows) < MAX_ROWS:
            self.add(table)
        elif verb == "remove" and key in rows:
            del rows[key]
        elif verb in ("up", "down") and key in rows:
            self.rows[table] = _moved(rows, key, -1 if verb == "up" else 1)
        elif verb == "set" and words:
            self._set(table, key)
        else:
            return False
        return True

    def _set(self, name: str, text: str) -> None:
        row = _ROW.fullmatch(name)
        if row and row[2] in self.rows[row[1]] and row[3] in COLUMNS[row[1]]:
            self.rows[row[1]][row[2]][row[3]] = text
        elif name in INPUTS:
            self.texts[name] = text


def _moved(rows: dict[str, Row], key: str, by: int) -> dict[str, Row]:
    order = list(rows)
    place = order.index(key)
    other = min(max(place + by, 0), len(order) - 1)
    order[place], order[other] = order[other], order[place]
    return {name: rows[name] for name in order}


def from_pairs(pairs: Iterable[tuple[str, str]]) -> Draft:
    """The form that a browser sent.

    Args:
        pairs: Names and texts in the order of the page, which is the order of the rows.
    Raises:
        InvalidRequest: It holds an input that the form does not have (422).
        TooLarge: A text or a table is larger than the form takes (413).
    """
    draft = Draft()
    for name, text in pairs:
        if len(text) > (MAX_PASTED if name == PASTED else MAX_CHARACTERS):
            limit = MAX_PASTED if name == PASTED else MAX_CHARACTERS
            raise TooLarge(
                f"received {len(text):,} characters in {name[:100]!r}, expected at most {limit:,}; "
                "submit larger studies with `caviar submit`"
            )
        _take(draft, name, text.replace("\r\n", "\n"))
    return draft


def _take(draft: Draft, name: str, text: str) -> None:
    row = _ROW.fullmatch(name)
    if name == DO:
        draft.act = text
    elif name in INPUTS or name in (STOPS_EARLY, WARM_START, PASTED) or _PLUGIN.fullmatch(name):
        draft.texts[name] = text
    elif row and row[3] in COLUMNS[row[1]]:
        rows = draft.rows[row[1]]
        if row[2] not in rows and len(rows) >= MAX_ROWS:
            raise TooLarge(f"received more than {MAX_ROWS} rows of {row[1]}, expected at most {MAX_ROWS}")
        rows.setdefault(row[2], dict.fromkeys(COLUMNS[row[1]], ""))[row[3]] = text
    else:
        expected = "an input of this form; reload the page if it is an old one"
        raise InvalidRequest(
            f"the form has no input {name[:100]!r}",
            errors=[FieldError(field=name, received=text, expected=expected)],
        )
