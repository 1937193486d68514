"""Columns: configurations of a space as rows of numbers, as `gaussian_process` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from caviar.contract.space import CategoricalParameter, ParamValue, Space
from service.search.parameters import AnyParameter, choice_at, is_unordered

Array = npt.NDArray[np.float64]

# Parameters of more values are rounded one by one, which is slower.
_MAX_TABLE = 4096


class Columns:
    """A column per parameter: its unit coordinate, or without order the position of its choice; NaN if it is inactive.

    Attributes:
        unordered: Per column, whether its values have no order.
    """

    def __init__(self, space: Space) -> None:
        self.unordered = tuple(is_unordered(parameter) for _, parameter in space.items())
        self._space = space
        self._grids = {name: _Grid(parameter) for name, parameter in space.items()}
        self._places = {name: place for place, name in enumerate(space.names)}

    def row(self, units: Sequence[float | None]) -> list[float]:
        """The row of a trial, from its unit coordinates."""
        return [
            float("nan") if unit is None else choice_at(parameter, unit) if is_unordered(parameter) else unit
            for unit, (_, parameter) in zip(units, self._space.items(), strict=True)
        ]

    def rows(self, units: Array) -> Array:
        """The rows of the configurations at points of the unit cube, both of shape `(m, num_parameters)`.

        Numbers are rounded as `Space.params_at` rounds them.
        """
        rows = np.empty(units.shape)
        is_active = np.ones(units.shape, dtype=bool)
        for name in self._space.parents_first:
            place = self._places[name]
            rows[:, place] = self._grids[name].rounded(units[:, place])
            for parent, values in (self._space[name].when or {}).items():
                above = self._places[parent]
                allowed = [self._grids[parent].column_value(value) for value in values]
                # Both sides come from the same table, so equal values are equal to the last bit.
                is_active[:, place] &= is_active[:, above] & np.isin(rows[:, above], allowed)
        return np.where(is_active, rows, np.nan)


class _Grid:
    """The values of a parameter as they stand in its column."""

    def __init__(self, parameter: AnyParameter) -> None:
        self._parameter = parameter
        count = parameter.num_values
        self._table: Array | None = None
        if count is not None and count <= _MAX_TABLE:
            values = [parameter.value_at(position) for position in range(count)]
            self._table = np.array([self.column_value(value) for value in values])
            self._bounds = np.array(_bounds(parameter, count))

    def column_value(self, value: ParamValue) -> float:
        """What stands in the column for a natural value."""
        parameter = self._parameter
        return float(parameter.position(value)) if is_unordered(parameter) else parameter.to_unit(value)

    def rounded(self, units: Array) -> Array:
        if self._table is not None:
            return self._table[np.searchsorted(self._bounds, units, side="right")]
        if self._parameter.num_values is None:
            return units
        return np.array([self.column_value(self._parameter.from_unit(unit)) for unit in units.tolist()])


def _bounds(parameter: AnyParameter, count: int) -> list[float]:
    """Unit coordinates at which one value gives way to the next."""
    if isinstance(parameter, CategoricalParameter):
        return [position / count for position in range(1, count)]
    values = [float(parameter.value_at(position)) for position in range(count)]
    return [parameter.axis.to_unit((low + high) / 2) for low, high in pairwise(values)]
