"""What stands above the leaderboard: filters in force, fields to filter by, columns to choose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from caviar.contract.space import CategoricalParameter, Space
from caviar.contract.states import TrialState
from caviar.contract.views import StudyView
from service.domain.board_query import (
    DEFAULT_LIMIT,
    DEFAULT_SORT,
    BoardQuery,
    Condition,
    OneOf,
    parse,
    short_name,
)
from service.domain.board_texts import choice_text
from service.web import formats
from service.web.tables import board
from service.web.tables.leaderboard import ANCHOR, parameter_hint

MAX_FIELDS = 24
MAX_ROWS = 200
_MAX_BOXES = 8
_PARAMS = "params."
_FIELD = "where."
_TURNED = "turned"
_PLAIN_FIELDS = ("value", "epochs", "duration")
_UNITS = {"duration": "seconds", "memory": "bytes"}
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FilterField:
    """A field of the form of filters.

    Attributes:
        name: Of the input.
        label: For people.
        hint: What may be written.
        text: What is written: a range or choices; empty without a condition.
        choices: Choices to tick, each with whether it is ticked; empty for a text.
    """

    name: str
    label: str
    hint: str
    text: str
    choices: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is in force.

    Attributes:
        text: What it asks for.
        address: Of the page without it.
    """

    text: str
    address: str


def query_of(space: Space, pairs: Pairs) -> BoardQuery:
    """What the query string of a page asks for.

    Args:
        space: Search space of the study.
        pairs: Names and values. Fields of forms become what they stand for: `where.NAME` a condition, `turned` an order
            that is turned round. Names that are nobody's are passed over.
    Raises:
        InvalidRequest: Something is unknown or malformed (422).
    """
    known: dict[str, list[str]] = {name: [] for name in ("state", "where", "q", "sort", "columns", "pin")}
    ticked: dict[str, list[str]] = {}
    numbers = {name: value for name, value in pairs if name in ("limit", "after") and value.strip()}
    for name, value in pairs:
        if name.startswith(_FIELD) and value.strip():
            ticked.setdefault(name.removeprefix(_FIELD), []).append(value.strip())
        elif name in known and value.strip():
            known[name].append(value)
    sort = known["sort"][-1] if known["sort"] else DEFAULT_SORT
    if any(name == _TURNED and value.strip() for name, value in pairs):
        sort = f"-{sort.removeprefix('-')}"
    where = [*known["where"], *(f"{name}:{'|'.join(values)}" for name, values in ticked.items())]
    return parse(
        space,
        states=known["state"],
        where=where,
        text=" ".join(known["q"]),
        columns=known["columns"],
        pins=known["pin"],
        sort=sort,
        limit=numbers.get("limit", DEFAULT_LIMIT),
        after=numbers.get("after", 0),
        most=MAX_ROWS,
    )


def is_plain(pairs: Pairs) -> bool:
    """Whether a query string is free of what only forms write: empty values, fields of filters, column by column."""
    is_bare = all(value.strip() and name != _TURNED and not name.startswith(_FIELD) for name, value in pairs)
    return is_bare and sum(name == "columns" for name, _ in pairs) < 2


def filter_fields(query: BoardQuery, space: Space) -> list[FilterField]:
    """Fields for the value, the epochs, the time and the first parameters."""
    found = [FilterField(f"{_FIELD}{name}", *_plain_label(name), _written(query, name)) for name in _PLAIN_FIELDS]
    for name in space.names[:MAX_FIELDS]:
        parameter, key = space[name], _PARAMS + name
        field, text = _FIELD + short_name(key), _written(query, key)
        if isinstance(parameter, CategoricalParameter) and len(parameter.choices) <= _MAX_BOXES:
            chosen = {choice for one in query.conditions if isinstance(one, OneOf) and one.column == key
                      for choice in map(choice_text, one.choices)}  # fmt: skip
            texts = [choice_text(choice).replace("|", "\\|") for choice in parameter.choices]
            boxes = tuple((each, each.replace("\\|", "|") in chosen) for each in texts)
            found.append(FilterField(field, name, "", "", boxes))
        else:
            found.append(FilterField(field, name, re.sub(r" … (\S+).*", r"..\1", parameter_hint(space, name)), text))
    return found


def other_conditions(query: BoardQuery, space: Space) -> list[str]:
    """Conditions that have no field of their own."""
    fields = {*_PLAIN_FIELDS, *(_PARAMS + name for name in space.names[:MAX_FIELDS])}
    return [f"{short_name(one.column)}:{one.text}" for one in query.conditions if one.column not in fields]


def chips(query: BoardQuery, study: StudyView) -> list[Chip]:
    """The filters in force, each with the way to lift it."""
    base = f"/studies/{study.name}"

    def without(**changes: object) -> str:
        return f"{base}{query.changed(**changes).address}{ANCHOR}"

    found = [
        Chip(state.value, without(states=tuple(one for one in query.states if one != state))) for state in query.states
    ]
    for condition in query.conditions:
        rest = tuple(one for one in query.conditions if one != condition)
        found.append(Chip(_words(condition, study), without(conditions=rest)))
    if query.text:
        found.append(Chip(f"“{query.text}” in a tag or note", without(text="")))
    return found


def states(query: BoardQuery) -> list[tuple[TrialState, bool]]:
    """All states, and whether they are asked for."""
    return [(state, state in query.states) for state in board.ORDER]


def kept(query: BoardQuery, *names: str) -> list[tuple[str, str]]:
    """What a form must carry on, besides what it asks for itself."""
    return [(name, value) for name, value in query.changed().pairs() if name not in names]


def _plain_label(name: str) -> tuple[str, str]:
    return {"duration": "time", "value": "value"}.get(name, name), _UNITS.get(name, "low..high")


def _written(query: BoardQuery, column: str) -> str:
    return next((one.text for one in query.conditions if one.column == column), "")


def _words(condition: Condition, study: StudyView) -> str:
    name = study.metric.name if condition.column == "value" else condition.column.removeprefix(_PARAMS)
    if isinstance(condition, OneOf):
        return f"{name}: {_either(map(choice_text, condition.choices))}"
    low, high = condition.low, condition.high
    if low == high:
        return f"{name} {formats.number(low)}"
    if low is None or high is None:
        return f"{name} ≤ {formats.number(high)}" if low is None else f"{name} ≥ {formats.number(low)}"
    return f"{name} {formats.number(low)} … {formats.number(high)}"


def _either(texts: Iterable[str]) -> str:
    return " or ".join(texts)
