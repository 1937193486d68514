"""What the inputs of the form suggest: options of the built-in objective, and values of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from caviar.contract.mlp import MlpOptions

SUGGESTED_CONFIG: Mapping[str, Mapping[str, Any]] = {"mlp": {"dataset": "digits"}}
"""Fixed options that a first study of an objective begins with."""


@cache
def options_of(objective: str) -> Mapping[str, tuple[str, ...]]:
    """The options of an objective with the values that they take, if those are few; empty if nothing is known."""
    if objective != "mlp":
        return {}
    return {name: tuple(_values(field.annotation)) for name, field in MlpOptions.model_fields.items()}


def _values(annotation: Any) -> list[str]:
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if get_origin(annotation) in (Union, UnionType):
        return [value for member in get_args(annotation) for value in _values(member)]
    return []
