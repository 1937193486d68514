"""Wording: pydantic's complaints, said as what was expected and how to fix it, in the words of JSON."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, StringConstraints

Location = Sequence[int | str]
"""Where pydantic found an error: keys, positions and names of union members, outermost first."""

_PATTERNS: dict[str, str] = {}

_SENTENCES = {
    "missing": "a value for this required field",
    "model_type": "an object with named fields",
    "model_attributes_type": "an object with named fields",
    "dict_type": "an object with named entries",
    "list_type": "a list",
    "string_type": "a text",
    "string_unicode": "a text that can be written as UTF-8",
    "string_too_short": "a text of {min_length} or more characters",
    "string_too_long": "a text of at most {max_length} characters",
    "int_type": "a whole number, written without a decimal point",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "{min_length} or more entries",
    "too_long": "at most {max_length} entries",
    "recursion_depth_exceeded": "a body that is nested less deeply",
}


def patterned(pattern: str, words: str) -> StringConstraints:
    """A constraint on a string that is refused in words, not with a regular expression."""
    _PATTERNS[pattern] = words
    return StringConstraints(pattern=pattern)


def nearest(name: object, known: Iterable[str]) -> str:
    """A clause that suggests the known name nearest to `name`; empty if none is near."""
    came, candidates = str(name)[:100], list(known)
    begun = [candidate for candidate in candidates if len(came) > 2 and candidate.startswith(came)]
    found = begun or difflib.get_close_matches(came, candidates, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def sentence(entry: Mapping[str, Any], title: str) -> str:
    """What would have been accepted in place of what an entry of `ValidationError.errors()` complains about.

    Args:
        entry: The entry.
        title: Title of the error, which is the name of the model.
    """
    kind, context, came = entry["type"], entry.get("ctx", {}), entry.get("input")
    if kind == "extra_forbidden":
        known = known_fields(title, entry["loc"])
        return "no such field" + (nearest(entry["loc"][-1], known) or f"; the fields here are {', '.join(known)}")
    if kind in ("literal_error", "enum"):
        return _one_of(came, context["expected"].replace(" or ", ", "))
    if kind == "union_tag_invalid":
        return _one_of(context["tag"], context["expected_tags"])
    if kind == "union_tag_not_found":
        return "a value for this required field, which says what kind of object this is"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"a text that matches {context['pattern']}")
    if kind == "float_type":
        is_huge = isinstance(came, int) and not isinstance(came, bool)
        return "a number of less than 1.8e308" if is_huge else "a number"
    template = _SENTENCES.get(kind)
    if template is None:
        return str(entry["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return template.format(**{name: f"{x:.17g}" if isinstance(x, float) else x for name, x in context.items()})


def _one_of(came: object, quoted: str) -> str:
    known = [word.strip().strip("'") for word in quoted.split(",")]
    return f"one of {', '.join(known)}{nearest(came, known)}"


def known_fields(title: str, location: Location) -> list[str]:
    """Names of the fields of the model in which pydantic found an unknown one.

    Args:
        title: Name of the outermost model.
        location: Where the unknown field was found, its own name last.
    """
    nodes: list[Any] = [model for model in _descendants(BaseModel) if model.__name__ == title]
    for step in location[:-1]:
        nodes = [below for node in nodes for below in _below(node, step, is_union=len(nodes) > 1)]
    return [name for node in nodes if _is_model(node) for name in node.model_fields]


def _descendants(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _descendants(child)


def _is_model(node: Any) -> bool:
    return isinstance(node, type) and issubclass(node, BaseModel)


def _members(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument)]
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _members(annotation.model_fields["root"].annotation)
    return [annotation]


def _below(node: Any, step: int | str, *, is_union: bool) -> list[Any]:
    node = _members(node)[0] if get_origin(node) is None else node
    if get_origin(node) in (dict, list):
        return _members(get_args(node)[-1])
    if not _is_model(node):
        return []
    if step in node.model_fields:
        return _members(node.model_fields[step].annotation)
    tag = node.model_fields.get("type")
    return [node] if is_union and tag is not None and step in get_args(tag.annotation) else []
