"""What a KerasTuner function asks for its values: the interface of KerasTuner's `HyperParameters`, without KerasTuner.

Source: KerasTuner 1.4, keras_tuner.HyperParameters: names, defaults, conditions and the values on a grid.
"""

# ruff: noqa: N802, PLR0917 - names and arguments are KerasTuner's

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from caviar.contract.model import Scalar
from caviar.contract.scales import grid_value

_MAX_VALUES = 1024
Sampling = Literal["linear", "log", "reverse_log"]
_SAMPLINGS: dict[str, Sampling] = {"linear": "linear", "log": "log", "reverse_log": "reverse_log"}


@dataclass(frozen=True)
class Condition:
    """A parent has one of some values."""

    name: str
    values: tuple[Scalar, ...]

    def is_met(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds; it does not while the parent itself does not apply."""
        return self.name in values and values[self.name] in self.values


@dataclass(frozen=True)
class HyperParameter:
    """One parameter, as the function declared it.

    Attributes:
        kind: The method of `HyperParameters` that declared it, in lower-case letters.
        name: With the names of its scopes, divided by `/`.
        default: Its value where no other is given.
        values: All values of a choice, a boolean, a fixed one, or a number with a step; None for any number.
        conditions: All of them have to be met for it to apply.
        low: Least value of a number.
        high: Greatest value of a number.
        step: Distance of neighbours; their factor where `sampling` is not linear.
        sampling: How KerasTuner draws a number.
        is_ordered: Whether neighbouring values are alike.
    """

    kind: Literal["int", "float", "choice", "boolean", "fixed"]
    name: str
    default: Scalar
    values: tuple[Scalar, ...] | None = None
    conditions: tuple[Condition, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    sampling: Sampling = "linear"
    is_ordered: bool = False


@dataclass
class HyperParameters:
    """Values by name, and a record of what was asked for.

    Attributes:
        values: Those that apply and were asked for or given.
        space: What was asked for, in order, each once for its name and conditions.
        active_scopes: Conditions of the scopes that were entered and apply.
        inactive_scopes: Conditions of those that do not.
        given: Values by name as the search space spells it, for names that are not among the `values`.
    """

    values: dict[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    space: list[HyperParameter] = field(default_factory=list)
    active_scopes: list[tuple[Condition, ...]] = field(default_factory=list)
    inactive_scopes: list[tuple[Condition, ...]] = field(default_factory=list)
    at_default: list[str] = field(default_factory=list)
    _scopes: list[str] = field(default_factory=list)
    _conditions: list[Condition] = field(default_factory=list)

    def Int(
        self, name: str, min_value: int, max_value: int, step: int | None = None, sampling: str | None = "linear",
        default: int | None = None, parent_name: str | None = None, parent_values: Any = None,
    ) -> Any:  # fmt: skip
        """A whole number between two, both included; None while its parent has another value."""
        for argument, value in (("min_value", min_value), ("max_value", max_value), ("step", step)):
            if value is not None and int(value) != value:
                raise ValueError(f"Int {name!r} received {argument}={value!r}, expected a whole number")
        ends = int(min_value), int(max_value)
        whole = None if step is None else int(step)
        return self._number("int", name, ends, whole, sampling, default, parent_name, parent_values)

    def Float(
        self, name: str, min_value: float, max_value: float, step: float | None = None,
        sampling: str | None = "linear", default: float | None = None, parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:  # fmt: skip
        """A number between two, both included; None while its parent has another value."""
        ends = float(min_value), float(max_value)
        return self._number("float", name, ends, step, sampling, default, parent_name, parent_values)

    def Choice(
        self, name: str, values: Sequence[Any], ordered: bool | None = None, default: Any = None,
        parent_name: str | None = None, parent_values: Any = None,
    ) -> Any:  # fmt: skip
        """One of several values of one type; None while its parent has another value."""
        listed = tuple(values)
        if len({type(value) for value in listed}) != 1 or not isinstance(listed[0], (str, bool, int, float)):
            raise ValueError(f"Choice {name!r} received {listed!r}, expected texts, numbers or booleans of one type")
        if default is not None and default not in listed:
            raise ValueError(f"Choice {name!r} received default={default!r}, expected one of {listed!r}")
        is_number = not isinstance(listed[0], str)
        if ordered and not is_number:
            raise ValueError(f"Choice {name!r} received ordered=True with texts, expected it with numbers only")
        made = HyperParameter(
            "choice", self._full(name), listed[0] if default is None else default, listed,
            is_ordered=is_number if ordered is None else ordered,
        )  # fmt: skip
        return self._ask(made, parent_name, parent_values)

    def Boolean(
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """True or False; None while its parent has another value."""
        if not isinstance(default, bool):
            raise TypeError(f"Boolean {name!r} received default={default!r}, expected True or False")
        made = HyperParameter("boolean", self._full(name), default, (False, True))
        return self._ask(made, parent_name, parent_values)

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None) -> Any:
        """The value itself; None while its parent has another value."""
        if not isinstance(value, (str, bool, int, float)):
            raise TypeError(f"Fixed {name!r} received {value!r}, expected a text, a number or a boolean")
        return self._ask(HyperParameter("fixed", self._full(name), value, (value,)), parent_name, parent_values)

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """What is asked for inside applies only while the parent has one of these values; else it is None.

        Raises:
            ValueError: No parameter of the parent's name was asked for before.
        """
        listed = tuple(parent_values) if isinstance(parent_values, (list, tuple)) else (parent_values,)
        condition = Condition(self._full(parent_name), listed)
        if not any(made.name == condition.name for made in self.space):
            raise ValueError(f"conditional_scope received the parent {condition.name!r}, expected one asked for before")
        self._conditions.append(condition)
        scopes = self.active_scopes if condition.is_met(self.values) else self.inactive_scopes
        scopes.append(tuple(self._conditions))
        try:
            yield
        finally:
            self._conditions.pop()

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """The names of what is asked for inside begin with this one and `/`."""
        self._scopes.append(str(name))
        try:
            yield
        finally:
            self._scopes.pop()

    def get(self, name: str) -> Any:
        """The value of a parameter that was asked for before.

        Raises:
            ValueError: It does not apply.
            KeyError: It was never asked for.
        """
        full = self._full(name)
        if full in self.values:
            return self.values[full]
        if any(made.name == full for made in self.space):
            raise ValueError(f"{full} does not apply: its conditions are not met")
        raise KeyError(f"{full} was not asked for before")

    def __getitem__(self, name: str) -> Any:
        """As `get`."""
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        """Whether the parameter has a value."""
        return self._full(name) in self.values

    def is_active(self, hyperparameter: HyperParameter | str) -> bool:
        """Whether a parameter applies."""
        if isinstance(hyperparameter, HyperParameter):
            return all(condition.is_met(self.values) for condition in hyperparameter.conditions)
        return any(self.is_active(made) for made in self.space if made.name == str(hyperparameter))

    def copy(self) -> Self:
        """Another one with the same values, whose record goes its own way."""
        return type(self)(dict(self.values), self.given, list(self.space))

    def _number(
        self, kind: Literal["int", "float"], name: str, ends: tuple[float, float], step: float | None,
        sampling: str | None, default: float | None, parent_name: str | None, parent_values: Any,
    ) -> Any:  # fmt: skip
        low, high = ends
        if low > high:
            raise ValueError(f"{name!r} received min_value {low} above max_value {high}, expected the opposite")
        # Objectives are not type-checked: it may be anything.
        way = str(sampling or "linear").lower()
        if way not in _SAMPLINGS:
            raise ValueError(f"{name!r} received sampling={sampling!r}, expected linear, log or reverse_log")
        if way != "linear" and (low <= 0 or (step is not None and step <= 1)):
            raise ValueError(
                f"{name!r} received sampling={way!r} with min_value {low} and step {step}, expected a min_value above "
                "0 and a step, which is a factor then, above 1"
            )
        if step is not None and step <= 0:
            raise ValueError(f"{name!r} received step={step!r}, expected a number above 0")
        made = HyperParameter(
            kind, self._full(name), low if default is None else default, _grid(kind, low, high, step, way),
            low=low, high=high, step=step, sampling=_SAMPLINGS[way], is_ordered=True,
        )  # fmt: skip
        return self._ask(made, parent_name, parent_values)

    def _ask(self, made: HyperParameter, parent_name: str | None, parent_values: Any) -> Any:
        scope = self.conditional_scope(parent_name, parent_values) if parent_name else nullcontext()
        with scope:
            if any(condition.name == made.name for condition in self._conditions):
                raise ValueError(f"{made.name} is its own parent, expected another name")
            made = _under(made, tuple(self._conditions))
            if not any((one.name, one.conditions) == (made.name, made.conditions) for one in self.space):
                self.space.append(made)
            if not self.is_active(made):
                return None
            if made.name not in self.values:
                self.values[made.name] = self._value(made)
            return self.values[made.name]

    def _value(self, made: HyperParameter) -> Any:
        spelled = spelling(made.name)
        if spelled in self.given:
            return self.given[spelled]
        if made.kind != "fixed":
            self.at_default.append(made.name)
        return made.default

    def _full(self, name: str) -> str:
        return "/".join([*self._scopes, str(name)])


def spelling(name: str) -> str:
    """How the search space spells a name of KerasTuner: a Python identifier, with `_` for all other signs."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain


def _under(made: HyperParameter, conditions: tuple[Condition, ...]) -> HyperParameter:
    return HyperParameter(**{**vars(made), "conditions": conditions})


def _grid(kind: str, low: float, high: float, step: float | None, sampling: str) -> tuple[Scalar, ...] | None:
    if step is None:
        if kind == "float" or sampling != "linear":
            return None
        step = 1
    if sampling == "linear":
        num_steps = math.floor((high - low) / step + 1e-9)
        # More than these are no choices to go through one by one.
        positions = range(num_steps + 1)
        return None if num_steps >= _MAX_VALUES else tuple(grid_value(low, step, position) for position in positions)
    num_steps = math.floor(math.log(high / low, step) + 1e-8)
    if num_steps >= _MAX_VALUES:
        raise ValueError(f"received step {step} from {low} to {high}, expected a factor with fewer than 1024 values")
    values = [low * step**position for position in range(num_steps + 1)]
    if sampling == "reverse_log":
        values = [high + low - value for value in reversed(values)]
    return tuple(int(value) if kind == "int" else value for value in values)
