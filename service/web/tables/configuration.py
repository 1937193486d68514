"""A configuration as text to copy, and as a form: one field per parameter, read back with what was typed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from caviar.contract.errors import FieldError
from caviar.contract.space import CategoricalParameter, FloatParameter, Params, ParamValue, Space
from service.web import formats

_INT = re.compile(r"[+-]?[0-9]{1,20}")
_PREFIX = "param-"


@dataclass(frozen=True, slots=True)
class Option:
    """A choice of a field: its position as it is sent, and its text."""

    value: str
    text: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter in the form.

    Attributes:
        name: The parameter.
        key: Name of the field.
        text: What stands in it.
        hint: Range, scale and condition.
        options: Choices of a categorical; empty for numbers.
        mode: Which keyboard a phone shows.
        problem: Why what stands in it was refused; empty if it was not.
    """

    name: str
    key: str
    text: str
    hint: str
    options: list[Option]
    mode: str
    problem: str


def texts(params: Params) -> dict[str, str]:
    """A configuration as YAML, JSON and Python, by the name of the language."""
    lines = [f"    {name!r}: {value!r}," for name, value in params.items()]
    return {
        "YAML": yaml.safe_dump(dict(params), sort_keys=False, allow_unicode=True).rstrip(),
        "JSON": json.dumps(params, indent=2, ensure_ascii=False),
        "Python": "\n".join(["params = {", *lines, "}"]),
    }


def prefilled(space: Space, params: Params) -> dict[str, str]:
    """What the fields hold at first: a configuration, in full digits."""
    return {_PREFIX + name: _written(space, name, params[name]) for name in space.names if name in params}


def read(space: Space, typed: Mapping[str, str]) -> dict[str, object]:
    """The configuration that was typed; what is no number stays a text, so that the space refuses it.

    Args:
        space: Of the study.
        typed: Texts by the keys of the fields; a parameter whose field is empty does not apply.
    """
    found: dict[str, object] = {}
    for name in space.names:
        text = typed.get(_PREFIX + name, "").strip()
        if text:
            found[name] = _read(space, name, text)
    return found


def fields(space: Space, typed: Mapping[str, str], errors: tuple[FieldError, ...] = ()) -> list[Field]:
    """The fields of the form.

    Args:
        space: Of the study.
        typed: What stands in them.
        errors: What the space refused of it.
    """
    problems = {error.field: error for error in errors}
    return [_field(space, name, typed.get(_PREFIX + name, ""), problems.get(f"params.{name}")) for name in space.names]


def _field(space: Space, name: str, text: str, error: FieldError | None) -> Field:
    parameter = space[name]
    options = []
    if isinstance(parameter, CategoricalParameter):
        options = [
            Option(str(position), formats.parameter(choice), text == str(position))
            for position, choice in enumerate(parameter.choices)
        ]
    problem = "" if error is None else f"received {error.received}, expected {error.expected}"
    mode = "decimal" if isinstance(parameter, FloatParameter) else "numeric"
    return Field(name, _PREFIX + name, text, _hint(space, name), options, mode, problem)


def _hint(space: Space, name: str) -> str:
    parameter = space[name]
    if isinstance(parameter, CategoricalParameter):
        told = "a choice"
    else:
        whole = "" if isinstance(parameter, FloatParameter) else "whole, "
        scale = {"linear": "", "reverse_log": ", 1−x log scale"}.get(parameter.scale, f", {parameter.scale} scale")
        step = f", in steps of {parameter.step:g}" if parameter.step not in (None, 1) else ""
        told = f"{whole}{parameter.low:g} … {parameter.high:g}{scale}{step}"
    conditions = [
        f"{parent} is {' or '.join(formats.parameter(value) for value in values)}"
        for parent, values in (parameter.when or {}).items()
    ]
    return f"{told}; applies if {' and '.join(conditions)}" if conditions else told


def _written(space: Space, name: str, value: ParamValue) -> str:
    parameter = space[name]
    if not isinstance(parameter, CategoricalParameter):
        return repr(value)
    # From before an edit of the space, a choice may be none of today's.
    return str(parameter.position(value)) if parameter.refuse(value) is None else ""


def _read(space: Space, name: str, text: str) -> object:
    parameter = space[name]
    if isinstance(parameter, CategoricalParameter):
        is_position = text.isascii() and text.isdecimal() and int(text[:9]) < len(parameter.choices)
        return parameter.value_at(int(text[:9])) if is_position else text
    if isinstance(parameter, FloatParameter):
        try:
            return float(text.replace("−", "-"))
        except ValueError:
            return text
    return int(text) if _INT.fullmatch(text) else text
