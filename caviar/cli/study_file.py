"""Study files: YAML or JSON, with values replaced from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from caviar.cli.console import CommandFailed
from caviar.client.bodies import checked
from caviar.contract import study_text
from caviar.contract.study import StudySpec


def load(source: str, *, name: str | None = None, changes: Sequence[str] = ()) -> StudySpec:
    """Read a study and check it.

    Args:
        source: A file, or `-` for the standard input.
        name: Name of the study in place of the file's.
        changes: `path=value` each, such as `budget.max_trials=10`; the value is read as YAML.
    Raises:
        CommandFailed: The file cannot be read, is no mapping, or a change does not fit it.
        InvalidRequest: Fields of the study are missing, unknown or wrong.
    """
    body = parse(_read(source), "the standard input" if source == "-" else source)
    for change in changes:
        _apply(body, change)
    if name is not None:
        body["name"] = name
    return checked(StudySpec, body)


def parse(text: str, origin: str) -> dict[str, Any]:
    """The mapping that a text in YAML or JSON holds.

    Args:
        text: The text.
        origin: Where it comes from, for people.
    """
    try:
        # JSON first: of a large file YAML takes a hundred times as long.
        body = json.loads(text) if text.lstrip().startswith("{") and origin.endswith(".json") else study_text.load(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise CommandFailed(f"{origin} is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    if not isinstance(body, dict):
        raise CommandFailed(
            f"{origin} holds {'nothing' if body is None else 'a ' + type(body).__name__}; "
            "expected the fields of a study, at least name and objective"
        )
    return body


def _read(source: str) -> str:
    try:
        return sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"the study file {source} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"the study file {source} is no UTF-8 text (byte {error.start}: {error.reason})") from error


def _apply(body: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise CommandFailed(f"--set received {change!r}, expected path=value, such as budget.max_trials=10")
    node = body
    for position, key in enumerate(keys[:-1]):
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise CommandFailed(
                f"--set {change}: {'.'.join(keys[: position + 1])} is {child!r} in the study and has no "
                f"field {keys[position + 1]}; set the whole of it, as {{...}}"
            )
        node = child
    try:
        node[keys[-1]] = study_text.load(text)
    except yaml.YAMLError as error:
        raise CommandFailed(f"--set {change}: the value is no YAML: {' '.join(str(error).split())}") from error
