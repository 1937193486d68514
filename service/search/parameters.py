"""What samplers ask of a parameter beyond the contract."""

from __future__ import annotations

from typing import TypeGuard

from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter

AnyParameter = FloatParameter | IntParameter | CategoricalParameter
"""A parameter of any type."""


def is_unordered(parameter: AnyParameter) -> TypeGuard[CategoricalParameter]:
    """Whether a parameter's values have no neighbours."""
    return isinstance(parameter, CategoricalParameter) and not parameter.ordered


def choice_at(parameter: CategoricalParameter, unit: float) -> int:
    """Position of the choice at a unit coordinate in [0, 1]."""
    return min(int(unit * len(parameter.choices)), len(parameter.choices) - 1)


def cell(parameter: AnyParameter) -> float:
    """Least share of the unit interval that one value owns; 0 for a continuous parameter."""
    if isinstance(parameter, CategoricalParameter):
        return 1 / len(parameter.choices)
    axis = parameter.axis
    if axis.step is None:
        return 0.0
    shares = (axis.to_unit(axis.low + axis.step / 2), 1 - axis.to_unit(axis.high - axis.step / 2))
    return min(shares)
