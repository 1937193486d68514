"""The same study in other words: YAML, JSON, a command line and Python, with what differs from the defaults alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from caviar.contract.space import Space
from caviar.contract.study import StudySpec

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*")
_RESERVED = frozenset({"true", "false", "null"})
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WIDE = ("space",)
_MAX_FLOW = 90


def minimal(spec: StudySpec, default_space: Space | None) -> dict[str, Any]:
    """The body of a study without what it would be anyway.

    Args:
        spec: The study.
        default_space: Search space of a study of this objective that gives none.
    """
    body = spec.model_dump(mode="json", exclude_defaults=True)
    if spec.space is not None and _same(spec.space, default_space):
        del body["space"]
    for parameter in body.get("space", {}).values():
        if "when" in parameter:  # People tell the condition last.
            parameter["when"] = parameter.pop("when")
    return body


def _same(space: Space, other: Space | None) -> bool:
    # As texts they also differ in the order of parameters, and in whether a choice is 1 or true.
    return other is not None and space.model_dump_json() == other.model_dump_json()


def as_yaml(body: Mapping[str, Any]) -> str:
    """A study file as a person would write it: a line per field, a line per parameter."""
    lines = []
    for name, value in body.items():
        flow = _flow(value, _yaml_scalar)
        if isinstance(value, dict) and value and (name in _WIDE or len(flow) > _MAX_FLOW):
            lines.append(f"{name}:")
            lines += [f"  {_yaml_scalar(key)}: {_flow(child, _yaml_scalar)}" for key, child in value.items()]
        else:
            lines.append(f"{name}: {flow}")
    return "\n".join(lines) + "\n"


def as_json(body: Mapping[str, Any]) -> str:
    """The body of a request, a line per field and per parameter."""
    return _block(body, _json_scalar)


def as_python(body: Mapping[str, Any]) -> str:
    """The lines of Python that create the study."""
    return f"import caviar\n\nclient = caviar.Client()\nstudy = client.create_study({_block(body, repr)})\n"


def as_command(body: Mapping[str, Any]) -> str:
    """The command that creates the study; the file is part of it."""
    return f"caviar submit - <<'END'\n{as_yaml(body)}END\n"


def _block(body: Mapping[str, Any], scalar: Callable[[Any], str]) -> str:
    lines = []
    for name, value in body.items():
        flow = _flow(value, scalar)
        if isinstance(value, dict) and value and (name in _WIDE or len(flow) > _MAX_FLOW):
            inner = ",\n".join(f"    {scalar(key)}: {_flow(child, scalar)}" for key, child in value.items())
            flow = f"{{\n{inner}\n  }}"
        lines.append(f"  {scalar(name)}: {flow}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _flow(value: Any, scalar: Callable[[Any], str]) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{scalar(name)}: {_flow(child, scalar)}" for name, child in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(child, scalar) for child in value)}]"
    return scalar(value)


def _json_scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    # JSON is YAML, but for a few characters that YAML reads as line ends or not at all.
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
