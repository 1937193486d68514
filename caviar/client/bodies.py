"""Bodies of requests, checked with the contract before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from caviar.contract.errors import InvalidRequest, field_errors
from caviar.contract.model import Model
from caviar.contract.study import ImportTrials, StudyEdit, StudySpec

Checked = TypeVar("Checked", bound=Model)

# The service takes bodies of up to 16 MiB.
_MAX_CHARACTERS = 4_000_000


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
        whole = "study" if kind in (StudySpec, StudyEdit) else "request"
        raise InvalidRequest(f"{fields} of the {whole} cannot be accepted", errors=errors) from error


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


def import_bodies(trials: ImportTrials) -> Iterator[tuple[int, str]]:
    """The JSON texts of an import, none of them too large to be sent.

    Returns:
        For each: how many trials the texts before it hold, and the text.
    """
    if trials.items is None:
        yield 0, trials.model_dump_json(exclude_unset=True)
        return
    head = trials.model_dump(mode="json", include={"metric", "objective"}, exclude_none=True)
    portion: list[str] = []
    size, offset = 0, 0
    for item in trials.items:
        text = item.model_dump_json(exclude_unset=True)
        if portion and size + len(text) > _MAX_CHARACTERS:
            yield offset, _with_items(head, portion)
            offset, portion, size = offset + len(portion), [], 0
        portion.append(text)
        size += len(text)
    yield offset, _with_items(head, portion)


def _with_items(head: Mapping[str, Any], items: list[str]) -> str:
    entries = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    return "{" + ", ".join([*entries, f'"items": [{", ".join(items)}]']) + "}"
