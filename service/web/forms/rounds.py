"""The form for the next round by hand: its fields, and what was typed into it as windows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.space import CategoricalParameter, Parameter, Space
from caviar.contract.study import OpenRound, WindowEdit
from caviar.contract.views import RoundView, WindowView
from service.web import formats
from service.web.pictures.zoom import end_text, newest_windows

Typed = Mapping[str, str]
"""What a form sent, by field."""

_MAX_WEIGHT = 1e9


@dataclass(frozen=True, slots=True)
class Box:
    """One input.

    Attributes:
        key: Its name in the form.
        label: What it holds.
        text: What is in it.
        standing: What was in it at first.
        is_refused: Whether it has to be corrected.
    """

    key: str
    label: str
    text: str
    standing: str
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """The inputs of one parameter.

    Attributes:
        name: The parameter.
        boxes: Lower and upper end, or a weight for each choice.
        problems: Why they were refused.
    """

    name: str
    boxes: list[Box]
    problems: list[str] = field(default_factory=list)


def rows(space: Space, rounds: Sequence[RoundView], typed: Typed, errors: Iterable[FieldError] = ()) -> list[Row]:
    """The form as it is shown.

    Args:
        space: The search space as it is now.
        rounds: All rounds so far.
        typed: What was sent before; empty at first.
        errors: Why that was refused.
    """
    refused = list(errors)
    found = []
    for name, parameter in space.items():
        own = [error for error in refused if f"{error.field}.".startswith(f"windows.{name}.")]
        standing = _standing(name, parameter, newest_windows(space, rounds)[name])
        boxes = [
            Box(key, label, typed.get(key, text), text, _is_meant(key, label, own)) for key, label, text in standing
        ]
        found.append(Row(name, boxes, [f"received {error.received}, expected {error.expected}" for error in own]))
    return found


def body(space: Space, rounds: Sequence[RoundView], typed: Typed) -> OpenRound:
    """The round that a form asks for: of the parameters whose fields were changed.

    Args:
        space: The search space as it is now.
        rounds: All rounds so far.
        typed: What was sent; `round` is the number of the round that the form was made of, empty for none.
    Raises:
        InvalidRequest: A field holds no number, or nothing was changed (422).
    """
    seen = [entry for entry in rounds if str(entry.number) == typed.get("round")]
    before = newest_windows(space, seen)
    windows, errors = {}, list[FieldError]()
    for name, parameter in space.items():
        standing = _standing(name, parameter, before[name])
        # Fields that were left alone are left out, so that a window keeps all of its digits.
        if any(typed.get(key, text).strip() != text for key, _, text in standing):
            edit = _edit(name, parameter, [(key, typed.get(key, text).strip()) for key, _, text in standing], errors)
            windows[name] = edit
    if errors:
        raise InvalidRequest(f"{len(errors)} field(s) hold no number", errors=errors)
    if not windows:
        raise InvalidRequest("nothing was changed: move an end of a window, or a weight, then open the round")
    return OpenRound(windows=windows)


def _standing(name: str, parameter: Parameter, window: WindowView) -> list[tuple[str, str, str]]:
    """Key, label and text of each field of a parameter."""
    if isinstance(parameter, CategoricalParameter):
        weights = window.weights or [1 / len(parameter.choices)] * len(parameter.choices)
        pairs = enumerate(zip(parameter.choices, weights, strict=True))
        return [
            (f"weight.{name}.{at}", formats.parameter(choice), f"{100 * weight:.3g}") for at, (choice, weight) in pairs
        ]
    low, high = (end_text(parameter, end).replace("\u202f", "") for end in (window.low, window.high))
    return [(f"low.{name}", "from", low), (f"high.{name}", "to", high)]


def _edit(name: str, parameter: Parameter, sent: Sequence[tuple[str, str]], errors: list[FieldError]) -> WindowEdit:
    numbers = []
    for key, text in sent:
        value = number(text)
        if value is None or (key.startswith("weight.") and not 0 <= value <= _MAX_WEIGHT):
            expected = "a number" if not key.startswith("weight.") else "a weight, a number of at least 0"
            errors.append(FieldError(field=_path(name, parameter, key), received=text or "nothing", expected=expected))
        numbers.append(value or 0.0)
    if not isinstance(parameter, CategoricalParameter):
        return WindowEdit(low=numbers[0], high=numbers[1])
    texts = [choice if isinstance(choice, str) else json.dumps(choice) for choice in parameter.choices]
    usable = [min(max(0.0, value), _MAX_WEIGHT) for value in numbers]
    return WindowEdit(weights=dict(zip(texts, usable, strict=True)))


def number(text: str) -> float | None:
    """A finite number that was typed; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0.0 else None


def _path(name: str, parameter: Parameter, key: str) -> str:
    if isinstance(parameter, CategoricalParameter):
        return f"windows.{name}.weights.{formats.parameter(parameter.choices[int(key.rsplit('.', 1)[1])])}"
    return f"windows.{name}.{key.split('.', 1)[0]}"


def _is_meant(key: str, label: str, errors: Sequence[FieldError]) -> bool:
    """Whether one of these errors speaks of a field, or of all fields of its parameter."""
    kind, name = key.split(".")[:2]
    whole = {f"windows.{name}", f"windows.{name}.weights"}
    own = f"windows.{name}.weights.{label}" if kind == "weight" else f"windows.{name}.{kind}"
    return any(error.field in whole or error.field == own for error in errors)
