"""Reading trials from files: what `export` writes, and lists of trials by hand."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from caviar.contract import cells
from caviar.contract.errors import FieldError, InvalidRequest, field_errors
from caviar.contract.space import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    ParamValue,
    Space,
)
from caviar.contract.study import ImportTrials
from caviar.contract.wording import nearest

_FACTS: dict[str, Callable[[str], Any]] = {
    "number": int,
    "state": str,
    "stop_reason": str,
    "value": float,
    "best_epoch": int,
    "num_epochs": int,
}
_PASSED_OVER = ("trial_id", "round", "origin", "attempt", "seed", "worker", "duration_s", "started_at", "ended_at")
_PREFIX = "params."

Read = TypeVar("Read")


def read_trials(text: str, format: Literal["csv", "json"], space: Space) -> ImportTrials:
    """The trials of a file.

    Args:
        text: Its content.
        format: `csv`: a line per trial, columns as `export` names them, of which only `params.NAME` and `value` are
            needed. `json`: what `export` writes, or a list of trials.
        space: Search space of the study that takes them: it tells of which type the cells of a table are.
    Raises:
        InvalidRequest: The file holds something else; it names the place.
    """
    body = {"items": list(_table(text, space))} if format == "csv" else _document(text)
    try:
        return ImportTrials.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest("the file holds trials that cannot be read", errors=field_errors(error, body)) from error


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the file is no JSON: {error}") from error
    if isinstance(found, list):
        return {"items": found}
    if isinstance(found, dict) and isinstance(found.get("trials"), list) and isinstance(found.get("study"), dict):
        study = found["study"]
        metric, objective = study.get("metric"), study.get("objective")
        name = metric.get("name") if isinstance(metric, dict) else None
        return {"metric": metric, "objective": objective, "items": [_exported(item, name) for item in found["trials"]]}
    if isinstance(found, dict) and "items" in found:
        return found
    raise InvalidRequest(
        f"the file holds a JSON {type(found).__name__}, expected what `caviar export --format json` writes, or a list "
        'of trials such as [{"params": {"learning_rate": 0.01}, "value": 0.3}]'
    )


def _exported(trial: Any, metric: str | None) -> Any:
    if not isinstance(trial, dict):
        return trial
    facts = {name: trial[name] for name in ("params", *_FACTS) if name in trial}
    try:
        epochs = {str(item["epoch"]): item["metrics"][metric] for item in trial.get("measurements") or ()}
    except (KeyError, TypeError) as error:
        field = FieldError(
            field="measurements", received=trial["measurements"], expected=f"epochs with the study's metric {metric}"
        )
        raise InvalidRequest("the file holds measurements that cannot be read", errors=[field]) from error
    return {**facts, "epochs": epochs}


def _table(text: str, space: Space) -> Iterator[dict[str, Any]]:
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = lines.fieldnames or ()
    except csv.Error as error:
        raise InvalidRequest(f"line 1 is no CSV: {error}") from error
    known = [*_FACTS, *_PASSED_OVER, *(_PREFIX + name for name in space.names)]
    unknown = [name for name in columns if name not in known and not name.startswith(_PREFIX)]
    if not columns or unknown:
        hint = nearest(_PREFIX + unknown[0], known) if unknown else ""
        expected = f"columns such as value, state and {_PREFIX}NAME for each parameter{hint}"
        received = ", ".join(unknown) or "nothing"
        errors = [FieldError(field="line 1", received=received, expected=expected)]
        raise InvalidRequest("the table has no head line, or columns that no trial has", errors=errors)
    try:
        for row in lines:
            yield _row(row, space, line=lines.line_num)
    except csv.Error as error:
        raise InvalidRequest(f"line {lines.line_num} is no CSV: {error}") from error


def _row(row: Mapping[str | None, Any], space: Space, *, line: int) -> dict[str, Any]:
    if None in row:
        raise _refused(line, "its end", ",".join(row[None]), "as many cells as columns")
    facts: dict[str, Any] = {}
    params: dict[str, ParamValue] = {}
    for column, cell in row.items():
        if not cell or column is None:
            continue
        text = cells.plain(cell)
        if column in _FACTS:
            facts[column] = _cell(text, _FACTS[column], line=line, column=column)
        elif column.startswith(_PREFIX):
            name = column.removeprefix(_PREFIX)
            params[name] = _cell(text, partial(_value, parameter=space.root.get(name)), line=line, column=column)
    return {**facts, "params": _with_empty(params, space)}


def _with_empty(params: dict[str, ParamValue], space: Space) -> dict[str, ParamValue]:
    # An empty cell is a parameter that does not apply, unless it is one of the choices of a parameter that does.
    for name in space.parents_first:
        parameter = space[name]
        is_choice = isinstance(parameter, CategoricalParameter) and "" in parameter.choices
        if name not in params and is_choice and space.is_active(name, params):
            params[name] = ""
    return params


def _cell(text: str, read: Callable[[str], Read], *, line: int, column: str) -> Read:
    try:
        value = read(text)
    except ValueError:
        raise _refused(line, column, text, _EXPECTED.get(read, "a value of this parameter")) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused(line, column, text, "a finite number")
    return value


_EXPECTED: dict[Any, str] = {int: "a whole number", float: "a number"}


def _value(text: str, parameter: FloatParameter | IntParameter | CategoricalParameter | None) -> ParamValue:
    """The value that a cell holds; of a parameter that the space lacks, what JSON reads, else the text."""
    if isinstance(parameter, FloatParameter):
        return float(text)
    if isinstance(parameter, IntParameter):
        return int(text)
    if isinstance(parameter, CategoricalParameter):
        # Texts first: a text "1" and a number 1 look alike in a table.
        choices = sorted(parameter.choices, key=lambda choice: not isinstance(choice, str))
        return next((choice for choice in choices if str(choice) == text), text)
    if text in ("True", "False"):
        return text == "True"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (int, float, str)) else text


def _refused(line: int, column: str, received: str, expected: str) -> InvalidRequest:
    field = FieldError(field=f"line {line}, {column}", received=received, expected=expected)
    return InvalidRequest("the table holds a line that cannot be read", errors=[field])
