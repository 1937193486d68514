"""Grids: which values of each parameter are tried, and how many configurations that makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from caviar.contract.errors import FieldError, InvalidRequest, shown
from caviar.contract.numbering import Numbering
from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Params, ParamValue, Space
from caviar.contract.wording import nearest
from service.search.draws import derive
from service.search.parameters import AnyParameter

NumericParameter = FloatParameter | IntParameter

MAX_SIZE = 1_000_000
MAX_POINTS = 10_000
# A numeric parameter with a step takes all of its values, as long as they are no more than this.
_ALL_VALUES = 10
_NUM_NAMED = 6
_ROUNDS = 6

NumPoints = Annotated[int, Field(ge=1, le=MAX_POINTS)]
Points = NumPoints | Annotated[list[ParamValue], Field(min_length=1, max_length=MAX_POINTS)]
"""How many values of a parameter, or which."""


class Grid:
    """The configurations of a grid, numbered. Each is there once, though a parameter may not apply in it.

    Attributes:
        values: Values of each parameter that are tried.
        size: How many configurations there are.
    """

    def __init__(self, space: Space, points: Mapping[str, Points], default_points: int) -> None:
        """Lay a grid on a space.

        Args:
            points: Values by parameter, or how many; those that are left out take `default_points` or all they have.
            default_points: How many values of a parameter with more than ten.
        Raises:
            InvalidRequest: A name or a value in `points` is not of the space, or the grid has over a million
                configurations; fields begin with `strategy`.
        """
        self._space = space
        self.values = _values(space, points, default_points)
        self._numbering = _number(space, self.values)
        size = self._numbering.size
        if size is None or size > MAX_SIZE:
            raise _too_large(space, points, default_points, self.values, size)
        self.size = size
        self._members = {name: {_key(value) for value in values} for name, values in self.values.items()}

    def params(self, position: int) -> Params:
        """The configuration at a position below `size`."""
        positions = self._numbering.positions(position)
        return {name: self.values[name][positions[name]] for name in self._space.names if name in positions}

    def holds(self, params: Params) -> bool:
        """Whether a configuration of the space is one of the grid's."""
        return all(_key(value) in self._members[name] for name, value in params.items())


def shuffled(seed: int, position: int, size: int) -> int:
    """Where a random permutation of `range(size)` takes a position, without listing the permutation.

    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains": a Feistel network, and walking on where it
        leads out of the range.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = position >> half, position & mask
        for turn in range(_ROUNDS):
            left, right = right, left ^ (derive(seed, "grid", turn, right) & mask)
        position = left << half | right
        if position < size:
            return position


def _values(space: Space, points: Mapping[str, Points], default_points: int) -> dict[str, list[ParamValue]]:
    errors: list[FieldError] = []
    values: dict[str, list[ParamValue]] = {}
    for name in points:
        if name not in space:
            expected = f"the name of a parameter of this space{nearest(name, space.names)}"
            errors.append(FieldError(field=f"strategy.points.{name}", received=name, expected=expected))
    for name, parameter in space.items():
        asked = points.get(name)
        if isinstance(asked, list):
            errors += _refusals(f"strategy.points.{name}", parameter, asked)
            values[name] = asked
        elif isinstance(parameter, CategoricalParameter):
            values[name] = list(parameter.choices)
            if asked is not None:
                expected = "a list of choices; left out, all of them are tried"
                errors.append(FieldError(field=f"strategy.points.{name}", received=asked, expected=expected))
        else:
            values[name] = _spread(parameter, asked, default_points)
    if errors:
        raise InvalidRequest(f"{len(errors)} point(s) of the grid do not fit the search space", errors=errors)
    return values


def _refusals(field: str, parameter: AnyParameter, values: Sequence[ParamValue]) -> list[FieldError]:
    errors, seen = [], set()
    for position, value in enumerate(values):
        expected = parameter.refuse(value)
        if expected is None and _key(value) in seen:
            expected = "values of which no two are equal"
        if expected is not None:
            errors.append(FieldError(field=f"{field}.{position}", received=shown(value), expected=expected))
        seen.add(_key(value))
    return errors


def _spread(parameter: NumericParameter, asked: int | None, default_points: int) -> list[ParamValue]:
    """Values that are evenly spread in the scale's coordinate, both ends among them."""
    count, number = parameter.num_values, asked or default_points
    if count is not None and count <= (asked or _ALL_VALUES):
        return [parameter.value_at(position) for position in range(count)]
    start, end = parameter.to_unit(parameter.low), parameter.to_unit(parameter.high)
    shares = [place / (number - 1) for place in range(number)] if number > 1 else [0.5]
    found = (parameter.from_unit(start + (end - start) * share) for share in shares)
    return list(dict.fromkeys(_tidy(parameter, value) for value in found))


def _tidy(parameter: NumericParameter, value: float) -> ParamValue:
    """The number that a person would write, 0.001 for 0.0010000000000000002."""
    if parameter.num_values is not None:
        return value
    written = float(f"{value:.12g}")
    is_inside = parameter.low <= written <= parameter.high
    return written if is_inside and abs(parameter.to_unit(written) - parameter.to_unit(value)) < 1e-9 else value


def _number(space: Space, values: Mapping[str, Sequence[ParamValue]]) -> Numbering:
    places = {name: {_key(value): place for place, value in enumerate(found)} for name, found in values.items()}
    counts = {name: len(found) for name, found in values.items()}
    return Numbering(space, counts, lambda name, value: places[name].get(_key(value)))


def _key(value: ParamValue) -> tuple[bool, ParamValue]:
    # In Python True == 1; as choices they are two.
    return isinstance(value, bool), value


def _too_large(
    space: Space,
    points: Mapping[str, Points],
    default_points: int,
    values: Mapping[str, Sequence[ParamValue]],
    size: int | None,
) -> InvalidRequest:
    longest = sorted(values, key=lambda name: -len(values[name]))[:_NUM_NAMED]
    named = ", ".join(f"{name} ({len(values[name])} values)" for name in longest)
    advice = "fewer points for some of them, or strategy quasi_random, which covers any space evenly"
    for fewer in range(min(default_points - 1, 100), 1, -1):
        smaller = _number(space, _values(space, points, fewer)).size
        if smaller is not None and smaller <= MAX_SIZE:
            advice = f"{advice}; default_points {fewer} makes {smaller:,}"
            break
    came = "a grid with conditions too entangled to count" if size is None else f"a grid of {size:,} configurations"
    expected = f"a grid of at most {MAX_SIZE:,} configurations; most come from {named}: give {advice}"
    return InvalidRequest(came, errors=[FieldError(field="strategy.points", received=shown(came), expected=expected)])
