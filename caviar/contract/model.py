"""The base of all wire models: strict, closed, immutable, finite numbers and storable text only."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, JsonValue, StringConstraints

from caviar.contract.errors import refusal
from caviar.contract.wording import patterned

MAX_DEPTH = 32
MAX_SCALAR_CHARACTERS = 1000
# Integers beyond this have no exact float, so neither coordinates nor every JSON reader could carry them.
MAX_INTEGER = 2**53


class Model(BaseModel):
    """A message that someone sends us: unknown fields, wrong types and NaN are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class View(BaseModel):
    """A message that we send: readers ignore fields that they do not know yet."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


def _storable(text: str, field: str = "") -> str:
    # Postgres takes no NUL in a text, and half of a surrogate pair has no UTF-8.
    if "\0" in text:
        raise refusal(text, "a text without the character NUL (U+0000)", "no database could store it", field=field)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise refusal(
            text, "a text that can be written as UTF-8", "it holds half of a surrogate pair", field=field
        ) from None
    return text


def _plain_json(value: object) -> object:
    _check_json(value, ())
    return value


def _check_json(value: object, path: tuple[str, ...]) -> None:
    if isinstance(value, str):
        _storable(value, ".".join(path))
    elif isinstance(value, (int, float)):
        check_number(value, ".".join(path))
    elif isinstance(value, (dict, list)):
        if len(path) >= MAX_DEPTH:
            raise refusal(value, f"objects and lists nested at most {MAX_DEPTH} deep", field=".".join(path))
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not isinstance(key, str):
                raise refusal(key, "objects whose keys are texts", field=".".join(path))
            _storable(str(key), ".".join(path))
            _check_json(child, (*path, str(key)))
    elif value is not None:
        raise refusal(
            value, "a JSON value: an object, a list, a text, a finite number, true, false or null", field=".".join(path)
        )


def check_number(value: float, field: str = "") -> None:
    """Refuse NaN, infinity, and whole numbers that not every JSON reader can carry.

    Args:
        value: The number; a boolean is let through.
        field: Path of the number below the validated value.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise refusal(value, "a finite number", "JSON has no NaN and no infinity", field=field)
    elif abs(value) > MAX_INTEGER:
        raise refusal(value, "a whole number of at most 2**53 in size", "write a longer one as a text", field=field)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > MAX_SCALAR_CHARACTERS:
            raise refusal(value, f"a text of at most {MAX_SCALAR_CHARACTERS} characters")
        return _storable(value)
    if not isinstance(value, (int, float)):
        raise refusal(value, "a text, a number, true or false")
    check_number(value)
    return value


Scalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]
"""A boolean, a finite number or a text of at most 1000 characters."""

FiniteJson = Annotated[JsonValue, BeforeValidator(_plain_json)]
"""Any JSON value, nested at most 32 deep, whose numbers are all finite."""

STORABLE = AfterValidator(_storable)
"""Refuses a text that one of the databases could not store; comes last in an annotation."""

JsonObject = dict[Annotated[str, STORABLE], FiniteJson]
"""A JSON object whose numbers are all finite."""

Slug = Annotated[
    str,
    patterned(
        r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$",
        "a slug: 1–64 lower-case letters, digits, '.', '_' and '-', with a letter or digit at both ends",
    ),
]
"""A name that is a key in paths."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=200), STORABLE]
"""A short text for people, 1–200 characters."""
