"""The table of a settings class, as docs/configuration.md shows it."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from caviar.credentials import home

HEADER = ("| variable | default | range | meaning |", "|---|---|---|---|")


def table(settings: type[BaseSettings]) -> list[str]:
    """The lines of the table, a row for each field in the order of the class."""
    prefix = settings.model_config["env_prefix"]
    rows = [
        f"| `{(prefix + name).upper()}` | {_default(field)} | {_range(field)} | {field.description} |"
        for name, field in settings.model_fields.items()
    ]
    return [*HEADER, *rows]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "none: it must be given"
    if isinstance(value, SecretStr):
        return "secret"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "none" if value in (None, (), []) else f"`{str(value).replace(str(home()), 'CAVIAR_HOME')}`"


def _range(field: FieldInfo) -> str:
    bounds = [text for item in _metadata(field) for text in _bounds(item)]
    kinds = [kind for kind in _kinds(field.annotation) if kind is not type(None)]
    choices = [f"`{choice}`" for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if choices or bounds:
        return ", ".join(choices + bounds)
    if bool in kinds:
        return "`true`, `false`"
    if any(get_origin(kind) is dict for kind in kinds):
        return "a JSON object"
    return "a JSON list" if any(get_origin(kind) in (list, tuple) for kind in kinds) else "text"


def _metadata(field: FieldInfo) -> Iterator[object]:
    yield from field.metadata
    for kind in _kinds(field.annotation):
        yield from getattr(kind, "__metadata__", ())


def _bounds(item: object) -> Iterator[str]:
    match item:
        case Ge(ge=bound):
            yield f"≥ {bound}"
        case Gt(gt=bound):
            yield f"> {bound}"
        case Le(le=bound):
            yield f"≤ {bound}"
        case Lt(lt=bound):
            yield f"< {bound}"
        case FieldInfo():
            for inner in item.metadata:
                yield from _bounds(inner)
        case _:
            return


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
