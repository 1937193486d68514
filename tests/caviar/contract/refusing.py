"""Bodies that are refused, and what is told about them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from caviar.contract.errors import FieldError, field_errors

STUDY: dict[str, Any] = {"name": "a", "objective": {"name": "mlp"}}


def refused(model: type[BaseModel], body: object) -> list[FieldError]:
    """The refused fields of a body that must not be valid."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    errors = field_errors(caught.value, body)
    # They go into an answer, so whatever came, they must be JSON in UTF-8.
    json.dumps([error.model_dump(mode="json") for error in errors], allow_nan=False).encode()
    return errors


def only(model: type[BaseModel], body: object) -> tuple[str, Any, str]:
    """The one refused field of a body: path, what came, what was expected."""
    [error] = refused(model, body)
    return error.field, error.received, error.expected


def number(**fields: Any) -> dict[str, Any]:
    """A study that searches one real number `x` in [0, 1], with these fields in place of the valid ones."""
    return STUDY | {"space": {"x": {"type": "float", "low": 0, "high": 1} | fields}}


def integer(**fields: Any) -> dict[str, Any]:
    """A study that searches one whole number `x` in [0, 10], with these fields in place of the valid ones."""
    return STUDY | {"space": {"x": {"type": "int", "low": 0, "high": 10} | fields}}


def conditional(when: Any, **others: Any) -> dict[str, Any]:
    """A study with a parameter `x` under a condition, beside parents of each type."""
    parents = {
        "c": {"type": "categorical", "choices": ["p", "q", True]},
        "i": {"type": "int", "low": 1, "high": 3},
        "f": {"type": "float", "low": 0, "high": 1},
    }
    return STUDY | {"space": parents | {"x": {"type": "int", "low": 0, "high": 1, "when": when}} | others}


CHOICE = "a text, a number, true or false"
