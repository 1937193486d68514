"""What a leaderboard is asked for: rows, columns and order, as an address says it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlencode

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.space import CategoricalParameter, ParamValue, Space
from caviar.contract.states import TrialState
from caviar.contract.wording import nearest
from service.domain.board_texts import choice_text, number_in

COLUMNS = (
    "rank", "trial", "value", "gap", "repeats", "best_epoch", "epochs", "state",
    "duration", "device", "memory", "round", "worker", "origin", "created", "tags",
)  # fmt: skip
"""Columns that every study has; those of its parameters stand after `state`."""
RANGED = ("value", "best_epoch", "epochs", "duration", "memory", "round", "trial")
"""Columns of numbers, which can be filtered by a range."""
DEFAULT_SORT = "rank"
DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
MAX_PINS = 20
MAX_CONDITIONS = 20
MAX_TEXT_CHARACTERS = 200
_PARAMS = "params."
_RANGE_FORM = "low..high, where one of the two may be left out, such as 1e-4..1e-2 or ..0.3"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both inclusive; None for no end.

    Attributes:
        column: One of `RANGED`, or `params.` and the name of a parameter.
    """

    column: str
    low: float | None
    high: float | None

    @property
    def text(self) -> str:
        """As it is written in an address."""
        if self.low == self.high:
            return _shortest(self.low) if self.low is not None else ""
        return "..".join("" if end is None else _shortest(end) for end in (self.low, self.high))


@dataclass(frozen=True, slots=True)
class OneOf:
    """Some choices of a categorical parameter.

    Attributes:
        column: `params.` and the name of the parameter.
    """

    column: str
    choices: tuple[ParamValue, ...]

    @property
    def text(self) -> str:
        """As it is written in an address."""
        return "|".join(choice_text(choice).replace("|", "\\|") for choice in self.choices)


Condition = Range | OneOf


@dataclass(frozen=True, slots=True)
class BoardQuery:
    """Which rows and columns of a leaderboard are shown, and in which order.

    Attributes:
        states: Only trials in one of these; empty for all.
        conditions: Only trials that meet all of these.
        text: Only trials with this in a tag or in the note.
        sort: A column; `rank` is best first.
        is_descending: Whether the order is turned round. Trials that lack the value come last in either.
        columns: What to show, in this order; None for what is usual.
        pins: Numbers of trials to show on top, whatever the filters.
        limit: Rows of a page.
        after: Rows to pass over.
    """

    states: tuple[TrialState, ...] = ()
    conditions: tuple[Condition, ...] = ()
    text: str = ""
    sort: str = DEFAULT_SORT
    is_descending: bool = False
    columns: tuple[str, ...] | None = None
    pins: tuple[int, ...] = ()
    limit: int = DEFAULT_LIMIT
    after: int = 0

    @property
    def is_filtered(self) -> bool:
        """Whether some trials may be left out."""
        return bool(self.states or self.conditions or self.text)

    def changed(self, **changes: object) -> BoardQuery:
        """The same with changes; from the first row again, unless `after` is given."""
        return replace(self, **{"after": 0, **changes})  # type: ignore[arg-type]  # names and types are the caller's

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of the address; what is usual is left out."""
        found = [("state", state.value) for state in self.states]
        found += [("where", f"{short_name(one.column)}:{one.text}") for one in self.conditions]
        if self.text:
            found.append(("q", self.text))
        if self.sort != DEFAULT_SORT or self.is_descending:
            found.append(("sort", ("-" if self.is_descending else "") + short_name(self.sort)))
        if self.columns is not None:
            found.append(("columns", ",".join(map(short_name, self.columns))))
        if self.pins:
            found.append(("pin", ",".join(map(str, self.pins))))
        if self.limit != DEFAULT_LIMIT:
            found.append(("limit", str(self.limit)))
        if self.after:
            found.append(("after", str(self.after)))
        return found

    @property
    def address(self) -> str:
        """The part of an address after the path: empty, or `?` and the pairs."""
        text = urlencode(self.pairs(), safe=":,|.-_")
        return f"?{text}" if text else ""


def short_name(column: str) -> str:
    """A column as it is written: a parameter by its own name, unless the leaderboard has a column of that name."""
    name = column.removeprefix(_PARAMS)
    return column if name in COLUMNS else name


def parse(
    space: Space,
    *,
    states: Sequence[str] = (),
    where: Sequence[str] = (),
    text: str = "",
    sort: str = DEFAULT_SORT,
    columns: Sequence[str] = (),
    pins: Sequence[str] = (),
    limit: int | str = DEFAULT_LIMIT,
    after: int | str = 0,
    most: int = MAX_LIMIT,
) -> BoardQuery:
    """Read what an address asks for.

    Args:
        space: Search space of the study.
        states: Names of states; each text may hold several, separated by commas, as with `columns` and `pins`.
        where: Conditions such as `learning_rate:1e-4..1e-2` and `optimizer:adam|sgd`; empty ones say nothing.
        text: To be found in a tag or note.
        sort: A column, with `-` before it for the opposite order.
        columns: Columns to show.
        pins: Numbers of trials.
        limit: Rows of a page.
        after: Rows to pass over.
        most: Rows that a page may have.
    Raises:
        InvalidRequest: Something is unknown or malformed (422).
    """
    reader = _Reader(space)
    query = BoardQuery(
        states=_once(reader.read_each("state", _split(states), reader.state)),
        conditions=tuple(reader.read_each("where", [one for one in where if one.strip()], reader.condition)),
        text=text.strip(),
        sort=next(iter(reader.read_each("sort", [sort.removeprefix("-").strip()], reader.column)), DEFAULT_SORT),
        is_descending=sort.startswith("-"),
        columns=_once(reader.read_each("columns", _split(columns), reader.column)) or None,
        pins=_once(reader.read_each("pin", _split(pins), reader.pin)),
        limit=reader.count("limit", limit, 1, most),
        after=reader.count("after", after, 0, 2**53 - 1),
    )
    for field, entries, most_entries in (
        ("pin", query.pins, MAX_PINS),
        ("where", query.conditions, MAX_CONDITIONS),
        ("q", query.text, MAX_TEXT_CHARACTERS),
    ):
        if len(entries) > most_entries:
            unit = "characters" if field == "q" else "entries"
            reader.refuse(field, f"{len(entries)} {unit}", f"at most {most_entries}; leave some out")
    if reader.errors:
        fields = ", ".join(dict.fromkeys(error.field for error in reader.errors))
        raise InvalidRequest(f"the leaderboard cannot be shown so: {fields} was refused", errors=reader.errors)
    return query


class _Refused(Exception):
    """What was expected in place of a part of the address."""


class _Reader:
    def __init__(self, space: Space) -> None:
        self.space = space
        self.errors: list[FieldError] = []

    def refuse(self, field: str, received: str, expected: str) -> None:
        self.errors.append(FieldError(field=field, received=received, expected=expected))

    def read_each(self, field: str, texts: Sequence[str], read: Callable[[str], T]) -> list[T]:
        found = []
        for text in texts:
            try:
                found.append(read(text))
            except _Refused as refused:
                self.refuse(field, text, str(refused))
        return found

    def count(self, field: str, came: int | str, least: int, most: int) -> int:
        if not re.fullmatch("[0-9]{1,16}", str(came)) or not least <= int(came) <= most:
            self.refuse(field, str(came), f"a whole number from {least} to {most}")
            return least
        return int(came)

    def state(self, text: str) -> TrialState:
        known = [state.value for state in TrialState]
        if text not in known:
            raise _Refused(f"one of {', '.join(known)}{nearest(text, known)}")
        return TrialState(text)

    def pin(self, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise _Refused("numbers of trials, such as 12,15")
        return int(text)

    def column(self, text: str) -> str:
        if text in COLUMNS:
            return text
        name = text.removeprefix(_PARAMS)
        if name in self.space:
            return _PARAMS + name
        raise _Refused(self._unknown(text, COLUMNS))

    def condition(self, text: str) -> Condition:
        name, colon, rest = text.partition(":")
        name, rest = name.strip(), rest.strip()
        if not colon:
            raise _Refused(f"a name, ':' and {_RANGE_FORM}, or choices such as adam|sgd")
        if name in RANGED:
            return _range(name, rest)
        parameter = name.removeprefix(_PARAMS)
        if parameter not in self.space:
            raise _Refused(self._unknown(name, RANGED))
        found = self.space[parameter]
        if isinstance(found, CategoricalParameter):
            return OneOf(_PARAMS + parameter, _choices(found, rest))
        return _range(_PARAMS + parameter, rest)

    def _unknown(self, text: str, columns: Sequence[str]) -> str:
        known = [*columns, *self.space.names]
        near = nearest(text, known)
        return f"one of {', '.join(known[:40])}{', …' if len(known) > 40 else ''}{near}"


def _range(column: str, text: str) -> Range:
    low_text, dots, high_text = text.replace("…", "..").partition("..")
    low, high = number_in(low_text), number_in(high_text)
    if not dots:
        high, high_text = low, low_text
    is_read = all((number is None) == (not part.strip()) for number, part in ((low, low_text), (high, high_text)))
    if not is_read or (low is None and high is None):
        raise _Refused(f"numbers as {_RANGE_FORM}")
    if low is not None and high is not None and low > high:
        raise _Refused("a range whose low end is not above its high end; exchange the two")
    return Range(column, low, high)


def _choices(parameter: CategoricalParameter, text: str) -> tuple[ParamValue, ...]:
    found: list[ParamValue] = []
    for part in re.split(r"(?<!\\)\|", text):
        wanted = part.strip().replace("\\|", "|")
        # 1, 1.0, true and "1" may all be choices; what is written alike is meant alike.
        matching = [choice for choice in parameter.choices if choice_text(choice) == wanted]
        if not matching:
            known = [choice_text(choice) for choice in parameter.choices]
            raise _Refused(f"some of {', '.join(known[:20])}, separated by '|'{nearest(wanted, known)}")
        found += matching
    return tuple(found)


def _split(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _once(entries: Sequence[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(entries))


def _shortest(number: float) -> str:
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e6 else repr(number)
