"""What a person has marked on axes: in addresses as the leaderboard has it, on the page as places on scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.points import Points
from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Params, ParamValue, Space
from caviar.contract.states import TrialState
from service.domain.board_query import BoardQuery, Condition, OneOf, Range, parse
from service.use_cases.points import shortened

VALUE = "value"
"""The column of the metric."""
PARAMS = "params."
"""Stands before the name of a parameter in that of its column."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Everything that narrows a picture.

    Attributes:
        conditions: What is marked, by column.
        top: Only so many percent of the trials with a value, the best ones.
        is_pruned_hidden: Whether pruned trials are left out.
    """

    conditions: dict[str, Condition] = field(default_factory=dict)
    top: int = 100
    is_pruned_hidden: bool = False

    @property
    def address(self) -> str:
        """What is marked as a part of the leaderboard's address: empty, or `?` and the conditions."""
        return BoardQuery(conditions=tuple(self.conditions.values())).address

    @property
    def query(self) -> str:
        """Everything, as a part of the analysis page's address."""
        more = {} if self.top == 100 else {"top": str(self.top)}
        more |= {"hide": "pruned"} if self.is_pruned_hidden else {}
        return self.address + (("&" if self.address else "?") + urlencode(more) if more else "")


@dataclass(frozen=True, slots=True)
class Selection:
    """The trials of a picture that are within all marks.

    Attributes:
        rows: Their positions in the columns, the best first, those without a value last.
        total: Trials in the picture.
        best: The best of their values.
        mean: The mean of their values.
    """

    rows: list[int]
    total: int
    best: float | None
    mean: float | None


def read(where: Sequence[str], space: Space) -> dict[str, Condition]:
    """Marks as they stand in an address, such as `units:16..64`, `value:..0.1` and `optimizer:adam|sgd`.

    Raises:
        InvalidRequest: One of them names no axis, or is no range of it (422).
    """
    conditions = {one.column: one for one in parse(space, where=where).conditions}
    for column, condition in conditions.items():
        if column != VALUE and not column.startswith(PARAMS):
            expected = f"a parameter or '{VALUE}', for there are no other axes"
            error = FieldError(field="where", received=f"{column}:{condition.text}", expected=expected)
            raise InvalidRequest("1 range was refused", errors=[error])
    return conditions


def select(found: Points, space: Space, marks: Marks) -> Selection:
    """The trials within all marks."""
    sign = 1 if found.metric.direction == "minimize" else -1
    limit = _top_value(found.values, marks.top, sign)
    rows = [
        at
        for at in range(found.num_shown)
        if not (marks.is_pruned_hidden and found.states[at] == TrialState.PRUNED)
        and (limit is None or ((value := found.values[at]) is not None and sign * value <= limit))
        and all(_meets(found, at, condition) for condition in marks.conditions.values())
    ]
    rows.sort(key=lambda at: math.inf if (value := found.values[at]) is None else sign * value)
    values = [value for at in rows if (value := found.values[at]) is not None]
    mean = math.fsum(values) / len(values) if values else None
    return Selection(rows, found.num_shown, values[0] if values else None, mean)


def present(params: Mapping[str, Sequence[ParamValue | None]], at: int) -> Params:
    """The parameters of one trial of a sample."""
    return {name: value for name, column in params.items() if (value := column[at]) is not None}


def from_places(name: str, parameter: FloatParameter | IntParameter, low: float, high: float) -> Range | None:
    """What is marked by two places on a scale, 0 to 1; None if that is all of it."""
    ends = [
        None if place in (0, 1) else shortened(parameter, float(parameter.from_unit(place)))
        for place in sorted((low, high))
    ]
    return None if ends == [None, None] else Range(PARAMS + name, ends[0], ends[1])


def from_positions(name: str, parameter: CategoricalParameter, positions: Sequence[int]) -> OneOf | None:
    """What is marked by positions of choices; None if that is none or all of them."""
    chosen = tuple(choice for at, choice in enumerate(parameter.choices) if at in positions)
    return None if len(chosen) in (0, len(parameter.choices)) else OneOf(PARAMS + name, chosen)


def _top_value(values: Sequence[float | None], top: int, sign: int) -> float | None:
    if top >= 100:
        return None
    ranked = sorted(sign * value for value in values if value is not None)
    return ranked[max(0, math.ceil(len(ranked) * top / 100) - 1)] if ranked else None


def _meets(found: Points, at: int, condition: Condition) -> bool:
    name = condition.column.removeprefix(PARAMS)
    value = found.values[at] if condition.column == VALUE else found.params[name][at]
    if isinstance(condition, OneOf):
        # In Python True == 1; in a space they are two choices.
        return any(type(value) is type(choice) and value == choice for choice in condition.choices)
    if value is None or isinstance(value, str):
        return False
    is_above = condition.low is None or value >= condition.low
    return is_above and (condition.high is None or value <= condition.high)
