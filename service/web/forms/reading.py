"""Reading the study that a form stands for, and telling at which input something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import ValidationError

from caviar.contract.errors import FieldError, field_errors
from caviar.contract.study import StudySpec
from service.web.forms import values
from service.web.forms.draft import PLUGINS, Draft, Row
from service.web.forms.fields import INPUTS, STOPS_EARLY, WARM_START
from service.web.forms.places import Problem, place
from service.web.forms.values import Unreadable

Convert = Callable[[str], Any]
"""Reads a text, or raises `Unreadable`."""

_PARAMETER: dict[str, Convert] = {
    "low": values.number,
    "high": values.number,
    "scale": values.plain,
    "step": values.number,
    "choices": values.listed,
    "ordered": bool,
    "when": values.condition,
}
_OF_TYPE = {
    "categorical": ("choices", "ordered", "when"),
    "float": ("low", "high", "scale", "step", "when"),
    "int": ("low", "high", "scale", "step", "when"),
}


@dataclass
class Read:
    """What a form says.

    Attributes:
        body: The study's body, as far as it could be read.
        problems: What is wrong, in the order of the form.
        spec: The study; None while something is wrong.
    """

    body: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    spec: StudySpec | None = None

    def refuse(self, draft: Draft, errors: Iterable[FieldError]) -> None:
        """Take in errors of the study, each at the input that it is about; one per input is enough."""
        self.spec = None
        for error in errors:
            problem = place(draft, error)
            if problem.at is None or all(problem.at != other.at for other in self.problems):
                self.problems.append(problem)


def read(draft: Draft) -> Read:
    """Read a form and check it by the contract; whether objective, strategy and pruner agree is not asked."""
    found = Read()
    reader = _Reader(draft, found)
    for path in INPUTS:
        reader.take_input(path)
    reader.take_early_stopping()
    reader.take_rows("config", ("objective", "config"), values.anything)
    reader.take_rows("tags", ("tags",), values.label)
    reader.take_rows("labels", ("requires", "labels"), values.label)
    reader.take_space()
    for plugin in PLUGINS:
        reader.take_plugin(plugin)
    reader.take_warm_start()
    try:
        spec = StudySpec.model_validate(found.body)
    except ValidationError as error:
        found.refuse(draft, field_errors(error, found.body))
    else:
        found.spec = None if found.problems else spec
    return found


class _Reader:
    def __init__(self, draft: Draft, found: Read) -> None:
        self._draft = draft
        self._found = found

    def take_input(self, path: str) -> None:
        text, kind = self._draft.text(path), INPUTS[path]
        if not text.strip() and kind.may_be_empty:
            self._put(path, None)
        else:
            self._try(path, text, kind.read, partial(self._put, path))

    def take_early_stopping(self) -> None:
        if not self._draft.text(STOPS_EARLY):
            self._found.body["early_stopping"] = None
            problems = [entry for entry in self._found.problems if not str(entry.at).startswith("early_stopping.")]
            self._found.problems[:] = problems

    def take_rows(self, table: str, path: tuple[str, ...], convert: Convert) -> None:
        node = self._node(path)
        for key, row in self._draft.rows[table].items():
            if row["name"].strip() or row["value"].strip():
                at = f"{table}.{key}"
                self._try(f"{at}.name", row["name"], values.label, partial(self._take_pair, at, row, node, convert))

    def _take_pair(self, at: str, row: Row, node: dict[str, Any], convert: Convert, name: str) -> None:
        is_named = bool(row["name"].strip())
        if self._is_free(f"{at}.name", name, node, is_named=is_named):
            self._try(f"{at}.value", row["value"], convert, partial(node.__setitem__, name))

    def take_space(self) -> None:
        space: dict[str, Any] = {}
        self._found.body["space"] = space
        for key, row in self._draft.rows["space"].items():
            name = row["name"].strip()
            if not name and not any(row[column].strip() for column in ("low", "high", "choices", "step", "when")):
                continue
            if self._is_free(f"space.{key}.name", name, space, is_named=bool(name)):
                space[name] = self._parameter(f"space.{key}", row)

    def _parameter(self, at: str, row: Row) -> dict[str, Any]:
        parameter: dict[str, Any] = {"type": row["type"]}
        for column in _OF_TYPE.get(row["type"], ()):
            may_be_empty = column in ("step", "when", "ordered")
            if may_be_empty and not row[column].strip():
                continue
            self._try(f"{at}.{column}", row[column], _PARAMETER[column], partial(parameter.__setitem__, column))
        return parameter

    def take_plugin(self, plugin: str) -> None:
        chosen: dict[str, Any] = {"kind": self._draft.kind(plugin)}
        self._found.body[plugin] = chosen
        for name, text in self._draft.options(plugin).items():
            if text.strip():
                convert = _wrapped if name == "wrapped" else values.anything
                self._try(f"{plugin}.{chosen['kind']}.{name}", text, convert, partial(chosen.__setitem__, name))

    def take_warm_start(self) -> None:
        names = self._draft.text(WARM_START)
        if names.strip():
            self._found.body["warm_start"] = [name.strip() for name in names.split(",")]

    def _is_free(self, at: str, name: str, taken: dict[str, Any], *, is_named: bool) -> bool:
        if is_named and name not in taken:
            return True
        expected = "a name that no other row has" if is_named else "a name for this row, or remove the row"
        self._found.problems.append(Problem(at, expected, name))
        return False

    def _try(self, at: str, text: str, convert: Convert, then: Callable[[Any], None]) -> None:
        try:
            then(convert(text))
        except Unreadable as error:
            self._found.problems.append(Problem(at, error.expected, text))

    def _put(self, path: str, value: Any) -> None:
        *parents, last = path.split(".")
        self._node(tuple(parents))[last] = value

    def _node(self, path: tuple[str, ...]) -> dict[str, Any]:
        node = self._found.body
        for step in path:
            node = node.setdefault(step, {})
        return node


def _wrapped(text: str) -> Any:
    # Another pruner, of which the kind alone is enough.
    value = values.anything(text)
    return {"kind": value} if isinstance(value, str) else value
