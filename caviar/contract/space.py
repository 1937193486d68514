"""The search space: which parameters there are, in which range, on which scale, and when they apply."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, RootModel, field_validator, model_validator

from caviar.contract.errors import FieldError, InvalidRequest, refusal, shown
from caviar.contract.model import MAX_INTEGER, Model, Scalar
from caviar.contract.numbering import Numbering
from caviar.contract.scales import SCALES, Axis, ScaleName, grid_value
from caviar.contract.wording import nearest, patterned

Choice = Scalar
"""A value of a categorical parameter."""

ParamValue = Scalar
"""A natural value of any parameter."""

Params = dict[str, ParamValue]
"""A configuration: the natural value of every active parameter."""

ParamName = Annotated[
    str,
    patterned(
        r"^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        "the name of a parameter: a letter or '_', then at most 63 letters, digits and '_'",
    ),
]
"""A Python identifier of at most 64 characters."""

MAX_PARAMETERS = 256
MAX_CHOICES = 1024
_SHOWN_CHOICES = 20

When = dict[ParamName, Annotated[list[Choice], Field(min_length=1, max_length=MAX_CHOICES)]]
"""Condition of a parameter: each named parent has one of the listed values."""


def _canonical_scale(value: object) -> object:
    return "reverse_log" if value == "1-beta" else value


class _Numeric(Model):
    when: When | None = None

    def _check_range(self, low: float, high: float, scale: ScaleName, step: float | None) -> None:
        if low >= high:
            raise refusal(
                low,
                f"a number below high ({high})",
                "exchange low and high, or fix the value in the objective's config instead of searching it",
                field="low",
            )
        if not math.isfinite(high - low):
            raise refusal(high, "a range whose width is a finite number", field="high")
        for field, bound in (("low", low), ("high", high)):
            if not SCALES[scale].contains(bound):
                raise refusal(
                    bound,
                    f"a number in the domain of scale {scale} ({SCALES[scale].domain})",
                    "move the bound or choose another scale",
                    field=field,
                )
        if not SCALES[scale].forward(low) < SCALES[scale].forward(high):
            raise refusal(
                high,
                f"a range whose ends are not one number on scale {scale}",
                "widen the range, or use scale linear",
                field="high",
            )
        if step is not None:
            self._check_step(low, high, scale, step)

    def _check_step(self, low: float, high: float, scale: ScaleName, step: float) -> None:
        if step > high - low + _rounding(low, high):
            raise refusal(
                step,
                f"a step of at most high - low ({high - low})",
                "this space is too small for its grid",
                field="step",
            )
        if step < 2 * _rounding(low, high) or (high - low) / step > MAX_INTEGER:
            raise refusal(
                step,
                "a step that tells neighbouring values apart in floating point",
                "use a larger step or a range nearer to 0",
                field="step",
            )
        last = grid_value(low, step, round((high - low) / step))
        if abs(high - last) > _rounding(low, high):
            fitting = grid_value(low, step, math.floor((high - low) / step))
            raise refusal(
                high,
                f"low plus a whole number of steps, such as {fitting}",
                "the last step would not end at high",
                field="high",
            )
        if not math.isfinite((high + step / 2) - (low - step / 2)):
            raise refusal(step, "a step with which the width of the range stays a finite number", field="step")
        for edge in (low - step / 2, high + step / 2):
            if not SCALES[scale].contains(edge):
                raise refusal(
                    step,
                    f"a step whose half does not reach beyond the domain of scale {scale} ({SCALES[scale].domain})",
                    "use a smaller step, or scale linear",
                    field="step",
                )


class FloatParameter(_Numeric):
    """A real number in [low, high].

    Attributes:
        low: Least value, inclusive.
        high: Greatest value, inclusive.
        scale: In which coordinate draws are uniform; `1-beta` is another spelling of `reverse_log`.
        step: Draw from the grid low, low + step, …, high only.
        when: Parents and the values of theirs for which this parameter applies.
    """

    type: Literal["float"]
    low: float
    high: float
    scale: Annotated[ScaleName, BeforeValidator(_canonical_scale)] = "linear"
    step: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_range(self.low, self.high, self.scale, self.step)
        return self

    @cached_property
    def axis(self) -> Axis:
        """The range on [0, 1] in the scale's coordinate."""
        return Axis(SCALES[self.scale], self.low, self.high, self.step)

    @property
    def num_values(self) -> int | None:
        """How many values there are; None without a step."""
        return self.axis.num_values

    def value_at(self, position: int) -> float:
        """The value at a position on the grid of steps, from 0."""
        return float(_grid_value(self.axis, position))

    def position(self, value: ParamValue) -> int:
        """Position on the grid of steps of a value that `refuse` does not refuse."""
        return _grid_position(self.axis, float(value))

    def from_unit(self, unit: float) -> float:
        """The natural value at a unit coordinate in [0, 1]."""
        return float(self.axis.from_unit(unit))

    def to_unit(self, value: ParamValue) -> float:
        """The unit coordinate of a value that `refuse` does not refuse."""
        return self.axis.to_unit(float(value))

    def refuse(self, value: object) -> str | None:
        """What would be accepted in place of `value`; None if it is a value of this parameter."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "a finite number"
        return _refuse_number(self.axis, value)


class IntParameter(_Numeric):
    """A whole number in [low, high].

    Attributes:
        low: Least value, inclusive.
        high: Greatest value, inclusive.
        scale: `linear` or `log`.
        step: Distance of neighbouring values.
        when: Parents and the values of theirs for which this parameter applies.
    """

    type: Literal["int"]
    low: Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    high: Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    scale: Literal["linear", "log"] = "linear"
    step: Annotated[int, Field(ge=1, le=MAX_INTEGER)] = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_range(self.low, self.high, self.scale, self.step)
        return self

    @cached_property
    def axis(self) -> Axis:
        """The range on [0, 1] in the scale's coordinate."""
        return Axis(SCALES[self.scale], self.low, self.high, self.step)

    @property
    def num_values(self) -> int:
        """How many values there are."""
        return self.axis.num_values or 1

    def value_at(self, position: int) -> int:
        """The value at a position, from 0."""
        return int(_grid_value(self.axis, position))

    def position(self, value: ParamValue) -> int:
        """Position of a value that `refuse` does not refuse."""
        return _grid_position(self.axis, float(value))

    def from_unit(self, unit: float) -> int:
        """The natural value at a unit coordinate in [0, 1]."""
        return int(self.axis.from_unit(unit))

    def to_unit(self, value: ParamValue) -> float:
        """The unit coordinate of a value that `refuse` does not refuse."""
        return self.axis.to_unit(float(value))

    def refuse(self, value: object) -> str | None:
        """What would be accepted in place of `value`; None if it is a value of this parameter."""
        if isinstance(value, bool) or not isinstance(value, int):
            return "a whole number"
        return _refuse_number(self.axis, value)


class CategoricalParameter(Model):
    """One of several choices.

    Attributes:
        choices: Strings, numbers or booleans, no two equal.
        ordered: The choices have an order, so that neighbours are alike.
        when: Parents and the values of theirs for which this parameter applies.
    """

    type: Literal["categorical"]
    choices: Annotated[list[Choice], Field(min_length=1, max_length=MAX_CHOICES)]
    ordered: bool = False
    when: When | None = None

    @field_validator("choices")
    @classmethod
    def _check_choices(cls, choices: list[Choice]) -> list[Choice]:
        seen = set()
        for position, choice in enumerate(choices):
            if _key(choice) in seen:
                raise refusal(choice, "choices of which no two are equal", "remove the repetition", field=str(position))
            seen.add(_key(choice))
        return choices

    @cached_property
    def _positions(self) -> dict[tuple[bool, object], int]:
        return {_key(choice): position for position, choice in enumerate(self.choices)}

    @property
    def num_values(self) -> int:
        """How many choices there are."""
        return len(self.choices)

    def value_at(self, position: int) -> Choice:
        """The choice at a position, from 0."""
        return self.choices[position]

    def position(self, value: ParamValue) -> int:
        """Position of a value that `refuse` does not refuse."""
        return self._positions[_key(value)]

    def from_unit(self, unit: float) -> Choice:
        """The choice at a unit coordinate in [0, 1]: equal shares, in the order given."""
        return self.choices[min(int(unit * len(self.choices)), len(self.choices) - 1)]

    def to_unit(self, value: ParamValue) -> float:
        """The middle of the share of a value that `refuse` does not refuse."""
        return (self.position(value) + 0.5) / len(self.choices)

    def refuse(self, value: object) -> str | None:
        """What would be accepted in place of `value`; None if it is a value of this parameter."""
        if isinstance(value, (bool, int, float, str)) and _key(value) in self._positions:
            return None
        some = ", ".join(repr(choice) for choice in self.choices[:_SHOWN_CHOICES])
        return f"one of {some}" if len(self.choices) <= _SHOWN_CHOICES else f"one of {some}, …"


Parameter = Annotated[FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="type")]


def _key(value: object) -> tuple[bool, object]:
    # In Python True == 1; for a person writing a space they are two choices.
    return isinstance(value, bool), value


def _rounding(low: float, high: float) -> float:
    # 0.1 + 0.2 differs from 0.3 by one unit in the last place: of so little, nothing is said.
    return 4 * math.ulp(max(abs(low), abs(high)))


def _grid_value(axis: Axis, position: int) -> float:
    return min(grid_value(axis.low, axis.step or 1, position), axis.high)


def _grid_position(axis: Axis, value: float) -> int:
    return round((value - axis.low) / (axis.step or 1))


def _refuse_number(axis: Axis, value: float) -> str | None:
    # NaN fails every comparison, so it ends here too.
    if not axis.low <= value <= axis.high:
        return f"a number in [{axis.low}, {axis.high}]"
    if axis.step is not None:
        on_grid = grid_value(axis.low, axis.step, round((value - axis.low) / axis.step))
        if abs(value - on_grid) > _rounding(axis.low, axis.high):
            return f"low plus a whole number of steps of {axis.step}, such as {min(on_grid, axis.high)}"
    return None


def _check_conditions(space: dict[str, Any]) -> dict[str, Any]:
    for name, parameter in space.items():
        for parent, values in (parameter.when or {}).items():
            _check_condition(space, f"{name}.when.{parent}", parent, values)
    _parents_first(space)
    return space


def _check_condition(space: dict[str, Any], field: str, parent: str, values: list[Choice]) -> None:
    if parent not in space:
        raise refusal(
            parent,
            f"the name of a parameter of this space{nearest(parent, space)}",
            "add the parent or fix its name",
            field=field,
        )
    if isinstance(space[parent], FloatParameter):
        raise refusal(
            parent, "a categorical or int parent", "a real number is hardly ever equal to a listed value", field=field
        )
    for position, value in enumerate(values):
        expected = space[parent].refuse(value)
        if expected:
            raise refusal(value, f"{expected}, as {parent} can be", field=f"{field}.{position}")


def _parents_first(space: Mapping[str, Any]) -> list[str]:
    order: list[str] = []
    waiting = dict(space)
    while waiting:
        ready = [name for name, parameter in waiting.items() if not any(p in waiting for p in parameter.when or ())]
        if not ready:
            circle = _circle(waiting)
            raise refusal(
                " → ".join([*circle, circle[0]]),
                "conditions without a circle",
                "remove one of these conditions",
                field=f"{circle[0]}.when",
            )
        for name in ready:
            order.append(name)
            del waiting[name]
    return order


def _circle(waiting: Mapping[str, Any]) -> list[str]:
    walk = [next(iter(waiting))]
    while (parent := next(p for p in waiting[walk[-1]].when if p in waiting)) not in walk:
        walk.append(parent)
    return walk[walk.index(parent) :]


class Space(
    RootModel[
        Annotated[
            dict[ParamName, Parameter],
            Field(min_length=1, max_length=MAX_PARAMETERS),
            AfterValidator(_check_conditions),
        ]
    ]
):
    """A search space: parameters by name, in the order given."""

    model_config = Model.model_config | {"extra": None}

    def __len__(self) -> int:
        """The number of parameters, active or not."""
        return len(self.root)

    def __contains__(self, name: object) -> bool:
        """Whether a parameter of this name exists."""
        return name in self.root

    def __getitem__(self, name: str) -> FloatParameter | IntParameter | CategoricalParameter:
        """The parameter of this name."""
        return self.root[name]

    @property
    def names(self) -> list[str]:
        """Names of the parameters in the order given; positions in unit vectors follow it."""
        return list(self.root)

    def items(self) -> Iterator[tuple[str, FloatParameter | IntParameter | CategoricalParameter]]:
        """Names and parameters in the order given."""
        return iter(self.root.items())

    @cached_property
    def parents_first(self) -> list[str]:
        """Names in an order in which every parameter follows the parents of its condition."""
        return _parents_first(self.root)

    @cached_property
    def num_configurations(self) -> int | None:
        """How many distinct configurations there are: parameters count where they apply.

        None if there is no limit, or if the conditions are too entangled to count them (see `Numbering`).
        """
        counts = {name: parameter.num_values for name, parameter in self.root.items()}
        return Numbering(self, counts, lambda name, value: self.root[name].position(value)).size

    def is_active(self, name: str, params: Mapping[str, ParamValue]) -> bool:
        """Whether a parameter applies, given the values of its (active) parents."""
        when = self.root[name].when
        return not when or all(
            parent in params and _key(params[parent]) in map(_key, values) for parent, values in when.items()
        )

    def params_at(self, units: Sequence[float]) -> Params:
        """The configuration at a point of the unit cube.

        Args:
            units: Unit coordinates in [0, 1], shape `(num_parameters,)`, in the order of `names`. Those of parameters
                that do not apply are passed over.
        Returns:
            Natural values of the active parameters, in the order of `names`.
        """
        position = {name: i for i, name in enumerate(self.root)}
        values: Params = {}
        for name in self.parents_first:
            if self.is_active(name, values):
                values[name] = self.root[name].from_unit(units[position[name]])
        return {name: values[name] for name in self.root if name in values}

    def units_of(self, params: Mapping[str, ParamValue]) -> list[float | None]:
        """The unit coordinates of a configuration, in the order of `names`; None for parameters that do not apply."""
        return [parameter.to_unit(params[name]) if name in params else None for name, parameter in self.root.items()]

    def fits(self, params: Mapping[str, object]) -> bool:
        """Whether `check` would accept a configuration."""
        accepted: Params = {}
        for name in self.parents_first:
            if self._refuse(name, params, accepted):
                return False
            if name in params:
                accepted[name] = params[name]  # type: ignore[assignment]  # _refuse() has just established its type
        return len(accepted) == len(params)

    def check(self, params: Mapping[str, object], *, prefix: str = "params") -> Params:
        """Check a hand-made configuration against the space.

        Returns:
            The configuration in the order of `names`.
        Raises:
            InvalidRequest: A value is missing, unknown, out of range, off the grid, or does not apply.
        """
        errors = [
            FieldError(
                field=f"{prefix}.{name}", received=shown(value), expected=f"no such parameter{nearest(name, self.root)}"
            )
            for name, value in params.items()
            if name not in self.root
        ]
        checked: Params = {}
        refused: set[str] = set()
        for name in self.parents_first:
            if refused.intersection(self.root[name].when or ()):
                # Whether it applies is not known until its parent is right.
                refused.add(name)
                continue
            expected = self._refuse(name, params, checked)
            if expected:
                received = shown(params[name]) if name in params else "nothing"
                errors.append(FieldError(field=f"{prefix}.{name}", received=received, expected=expected))
                refused.add(name)
            elif name in params:
                checked[name] = params[name]  # type: ignore[assignment]  # _refuse() has just established its type
        if errors:
            raise InvalidRequest(f"{len(errors)} parameter(s) do not fit the search space", errors=errors)
        return {name: checked[name] for name in self.root if name in checked}

    def _refuse(self, name: str, params: Mapping[str, object], checked: Params) -> str | None:
        applies = self.is_active(name, checked)
        if name not in params:
            return "a value: this parameter applies" if applies else None
        if not applies:
            return "no value: the condition of this parameter is not met"
        return self.root[name].refuse(params[name])
