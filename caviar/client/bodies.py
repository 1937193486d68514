"""Bodies of requests, checked with the contract before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from caviar.contract.errors import InvalidRequest, field_errors
from caviar.contract.model import Model
from caviar.contract.study import StudySpec

Checked = TypeVar("Checked", bound=Model)


def checked(kind: type[Checked], body: Mapping[str, Any]) -> Checked:
    """A message of the contract from plain values.

    Raises:
        InvalidRequest: Fields are missing, unknown or wrong; it names each of them.
    """
    try:
        return kind.model_validate(dict(body))
    except ValidationError as error:
        errors = field_errors(error, dict(body))
        fields = "one field" if len(errors) == 1 else f"{len(errors)} fields"
        raise InvalidRequest(f"{fields} of the study cannot be accepted", errors=errors) from error


def study_body(spec: StudySpec | Mapping[str, Any]) -> str:
    """The JSON text of a study.

    Only what was given is in it: the defaults are the service's, which may be of another version.

    Raises:
        InvalidRequest: Fields are missing, unknown or wrong.
    """
    study = spec if isinstance(spec, StudySpec) else checked(StudySpec, spec)
    return study.model_dump_json(exclude_unset=True)


def as_json(value: Any) -> str:
    """JSON text of plain values.

    Raises:
        InvalidRequest: A value is NaN, infinite or nothing that JSON can hold.
    """
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"a value cannot be sent as JSON ({error}); use finite numbers, strings, booleans, lists and dicts"
        ) from error
