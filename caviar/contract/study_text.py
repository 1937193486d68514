"""Reading studies that are written as YAML, of which JSON is a part."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

_MAX_NODES = 500_000
_MAX_DEPTH = 64


class _Loader(yaml.SafeLoader):
    """YAML 1.2's reading of plain scalars, of documents of bounded size.

    PyYAML's own is that of YAML 1.1, where `1e-4` is a string, `on` a boolean and `12:30` a number.
    Source: YAML 1.2.2, section 10.3, core schema.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node, unless it is nested too deeply or stands for too many through its aliases."""
        is_alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs of PyYAML leave it out
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"it is nested more than {_MAX_DEPTH} deep", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if is_alias and id(node) not in self._sizes:
            raise yaml.composer.ComposerError(None, None, "an alias stands inside of what it stands for", mark)
        if self._size(node) > _MAX_NODES:
            raise yaml.composer.ComposerError(None, None, f"it holds more than {_MAX_NODES} values", mark)
        return node

    def _size(self, node: yaml.Node) -> int:
        if id(node) not in self._sizes:
            below = node.value if isinstance(node, yaml.CollectionNode) else ()
            children = [child for entry in below for child in (entry if isinstance(entry, tuple) else (entry,))]
            self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in children)
        return self._sizes[id(node)]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are unique."""
        seen: set[str] = set()
        for key, _value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"the key {key.value!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.update([key.value] if isinstance(key, yaml.ScalarNode) else ())
        return super().construct_mapping(node, deep)


_SCALARS = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _starts in _SCALARS:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        ["" if start == "\0" else start for start in _starts],
    )


def _whole(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    try:
        return int(node.value)
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


def load(text: str) -> Any:
    """The value that a text in YAML holds.

    Raises:
        YAMLError: It is no YAML, names a key twice, or is nested too deeply or too large with its aliases written out.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # derived from SafeLoader
