"""The form for the ranges of a study's search space: its fields, and what was typed into it as a space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from caviar.contract.errors import FieldError, InvalidRequest, field_errors
from caviar.contract.space import CategoricalParameter, Parameter, Space
from service.use_cases.zooming import widened
from service.web import formats
from service.web.forms.rounds import Typed, number

End = Literal["lower", "upper"]
_FIELDS = {"lower": "low", "upper": "high"}


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range.

    Attributes:
        key: Name of the field.
        label: Which end.
        text: What is in it.
        standing: The end in force, as it is typed.
        is_refused: Whether it has to be corrected.
    """

    key: str
    label: str
    text: str
    standing: str
    is_refused: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One parameter.

    Attributes:
        name: The parameter.
        kind: Its type and scale, in words.
        bounds: Both ends; none for choices.
        choices: The choices, in words; empty for numbers.
        problems: Why its fields were refused.
    """

    name: str
    kind: str
    bounds: list[Bound]
    choices: str
    problems: list[str]

    @property
    def is_changed(self) -> bool:
        """Whether an end is not the one in force."""
        return any(bound.text != bound.standing for bound in self.bounds)


def lines(space: Space, typed: Typed, errors: Iterable[FieldError] = ()) -> list[Line]:
    """The form as it is shown.

    Args:
        space: The search space in force.
        typed: What was sent before, or a suggestion.
        errors: Why what was sent was refused.
    """
    refused = list(errors)
    return [
        _line(name, parameter, typed, [error for error in refused if f"{error.field}.".startswith(f"space.{name}.")])
        for name, parameter in space.items()
    ]


def suggestion(space: Space, name: str, end: str) -> dict[str, str]:
    """The field of one end, filled with a wider value; nothing where there is none."""
    if name not in space or isinstance(parameter := space[name], CategoricalParameter) or end not in _FIELDS:
        return {}
    wider = widened(parameter, "lower" if end == "lower" else "upper")
    return {} if wider is None else {f"{_FIELDS[end]}.{name}": _text(wider)}


def new_space(space: Space, typed: Typed) -> Space:
    """The space that a form asks for; fields that were left alone or out keep their ends.

    Raises:
        InvalidRequest: A field holds no number, or the ends are none of its scale (422).
    """
    body = space.model_dump(mode="json")
    errors: list[FieldError] = []
    for name, parameter in space.items():
        if not isinstance(parameter, CategoricalParameter):
            for field, standing in (("low", parameter.low), ("high", parameter.high)):
                text = typed.get(f"{field}.{name}", _text(standing)).strip()
                if text != _text(standing):
                    body[name][field] = _read(f"space.{name}.{field}", parameter, text, errors)
    if errors:
        raise InvalidRequest(f"{len(errors)} field(s) hold no number", errors=errors)
    try:
        return Space.model_validate(body)
    except ValidationError as error:
        found = field_errors(error, body, prefix="space")
        raise InvalidRequest(f"{len(found)} end(s) of ranges were refused", errors=found) from None


def _read(path: str, parameter: Parameter, text: str, errors: list[FieldError]) -> Any:
    value = number(text)
    if value is None:
        errors.append(FieldError(field=path, received=text or "nothing", expected="a number"))
        return None
    return int(value) if parameter.type == "int" and value.is_integer() else value


def _line(name: str, parameter: Parameter, typed: Typed, errors: list[FieldError]) -> Line:
    problems = [f"received {error.received}, expected {error.expected}" for error in errors]
    if isinstance(parameter, CategoricalParameter):
        choices = ", ".join(formats.parameter(choice) for choice in parameter.choices)
        return Line(name, "choice", [], choices, problems)
    fields = [("low", "from", parameter.low), ("high", "to", parameter.high)]
    bounds = [
        Bound(
            key=f"{field}.{name}",
            label=label,
            text=typed.get(f"{field}.{name}", _text(value)),
            standing=_text(value),
            is_refused=any(error.field in (f"space.{name}.{field}", f"space.{name}") for error in errors),
        )
        for field, label, value in fields
    ]
    scale = "1−x log" if parameter.scale == "reverse_log" else parameter.scale
    step = f", step {parameter.step:g}" if parameter.step is not None and parameter.step != 1 else ""
    return Line(name, f"{parameter.type}, {scale} scale{step}", bounds, "", problems)


def _text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
