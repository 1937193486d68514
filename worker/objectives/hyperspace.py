"""Translate what a KerasTuner function asks for into a search space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from caviar.contract.model import Scalar
from caviar.contract.scales import grid_value
from worker.objectives.errors import LoadError
from worker.objectives.hyperparameters import HyperParameter, spelling

_log = structlog.get_logger(__name__)

When = dict[str, list[Scalar]]


def translate(owner: str, found: Sequence[HyperParameter], inferred: Mapping[str, When]) -> dict[str, Any]:
    """A search space as a study file writes it; it is not checked yet.

    Args:
        owner: The function, for messages.
        found: Everything that it asks for, parents before what depends on them.
        inferred: Conditions by name beyond those of the scopes.
    Raises:
        LoadError: A search space cannot hold a parameter.
    """
    space: dict[str, Any] = {}
    full_names: dict[str, str] = {}
    for made in found:
        name = spelling(made.name)
        if full_names.setdefault(name, made.name) != made.name:
            raise LoadError(
                f"{owner} has the hyperparameters {full_names[name]!r} and {made.name!r}, which are both {name!r} in a "
                "search space; give one of them another name"
            )
        body, when = _body(owner, made), _when(made, found)
        if body is None or when is None:
            continue
        for parent, values in inferred.get(made.name, {}).items():
            when.setdefault(spelling(parent), values)
        told = {**body, "when": when} if when else body
        space[name] = _joined(owner, made.name, space[name], told) if name in space else told
    return space


def _body(owner: str, made: HyperParameter) -> dict[str, Any] | None:
    """The parameter without its condition; None if it has only one value."""
    if made.kind in ("choice", "boolean"):
        values = list(made.values or ())
        return {"type": "categorical", "choices": values, "ordered": made.is_ordered} if len(values) > 1 else None
    if made.kind == "fixed" or made.low == made.high or (made.values is not None and len(made.values) == 1):
        return None
    if made.step is not None and made.sampling != "linear":
        # Its neighbours differ by a factor, which no step of a search space does.
        return {"type": "categorical", "choices": list(made.values or ()), "ordered": True}
    scale = _scale(owner, made)
    body: dict[str, Any] = {"type": made.kind, "low": made.low, "high": made.high, "scale": scale}
    if made.step is not None:
        num_steps = math.floor((made.high - made.low) / made.step + 1e-9)
        body |= {"step": made.step, "high": grid_value(made.low, made.step, num_steps)}
    return body


def _scale(owner: str, made: HyperParameter) -> str:
    if made.sampling != "reverse_log" or (made.kind == "float" and 0 <= made.low < made.high < 1):
        return made.sampling
    _log.warning(
        "reverse_log_is_linear", objective=owner, hyperparameter=made.name, low=made.low, high=made.high,
        detail="reverse_log is the scale of 1 - x, for numbers with 0 <= x < 1; this one is searched as linear",
    )  # fmt: skip
    return "linear"


def _when(made: HyperParameter, found: Sequence[HyperParameter]) -> When | None:
    """The condition in the words of a search space; None if it can never be met."""
    when: When = {}
    for condition in made.conditions:
        parents = [one for one in found if one.name == condition.name]
        if all(_is_constant(parent) for parent in parents):
            if not any(parent.default in condition.values for parent in parents):
                return None
            continue
        known = {value for parent in parents for value in parent.values or condition.values}
        name = spelling(condition.name)
        values = [value for value in condition.values if value in known and value in when.get(name, condition.values)]
        if not values:
            return None
        when[name] = values
    return when


def _is_constant(made: HyperParameter) -> bool:
    return made.kind == "fixed" or (made.values is not None and len(made.values) == 1) or (
        made.kind in ("int", "float") and made.low == made.high
    )  # fmt: skip


def _joined(owner: str, name: str, former: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """One parameter in place of two of the same name under different conditions."""
    bodies = [{key: value for key, value in one.items() if key != "when"} for one in (former, other)]
    conditions: list[When] = [one.get("when", {}) for one in (former, other)]
    if bodies[0] == bodies[1]:
        if conditions[0] == conditions[1] or not all(conditions):
            return bodies[0] | ({"when": conditions[0]} if all(conditions) else {})
        if all(len(when) == 1 for when in conditions) and conditions[0].keys() == conditions[1].keys():
            (parent,) = conditions[0]
            values = [*conditions[0][parent], *(v for v in conditions[1][parent] if v not in conditions[0][parent])]
            return {**bodies[0], "when": {parent: values}}
    raise LoadError(
        f"{owner} has two hyperparameters {name!r}: {former} and {other}, expected one of each name in a search space; "
        "give one of them another name"
    )
