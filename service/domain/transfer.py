"""Rules of carrying results over from one study to another: pure functions of their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from caviar.contract.errors import FieldError, InvalidRequest, shown
from caviar.contract.space import Params, Space
from caviar.contract.study import Metric, ObjectiveRef, StudySpec


class Misfit(Exception):
    """A trial that a study cannot learn from; the text says why."""


def disagreements(
    spec: StudySpec, *, metric: Metric | None, objective: ObjectiveRef | None, space: Space | None, field: str
) -> list[FieldError]:
    """Why no trial of a source says anything about a study; empty if they may.

    Args:
        spec: The study that takes the trials, its space set.
        metric: Of the source; None if it is not known.
        objective: Of the source; None if it is not known.
        space: Of the source; None if it is not known.
        field: What names the source in the request.
    """
    found = []
    if metric is not None and metric != spec.metric:
        wanted = f"results in {spec.metric.name} ({spec.metric.direction}), as this study compares"
        found.append(FieldError(field=field, received=f"{metric.name} ({metric.direction})", expected=wanted))
    if objective is None:
        return found
    if objective.name != spec.objective.name:
        wanted = f"results of this study's objective {spec.objective.name}"
        found.append(FieldError(field=field, received=objective.name, expected=wanted))
        return found
    return found + [
        FieldError(field=field, received=received, expected=f"{expected}, as this study's objective has it")
        for received, expected in _unlike_options(spec, objective.config, space)
    ]


def _unlike_options(spec: StudySpec, config: Mapping[str, Any], space: Space | None) -> Iterable[tuple[str, str]]:
    own, searched = spec.objective.config, spec.space or ()
    for name, value in config.items():
        if name not in searched and name not in own:
            yield f"{name} = {shown(value)}", f"no {name}"
        elif name not in searched and not _is_same(own[name], value):
            yield f"{name} = {shown(value)}", f"{name} = {shown(own[name])}"
    for name, value in own.items():
        if space is not None and name not in config and name not in space:
            yield f"no {name}", f"{name} = {shown(value)}"


def carried(params: Mapping[str, Any], config: Mapping[str, Any] | None, spec: StudySpec) -> Params:
    """A source's configuration as one of this study, with the same meaning.

    What one of the two searches and the other one fixes is moved: an option that this study fixes may be dropped from
    the configuration if its value is the same, and one that the source fixes is added.

    Args:
        params: Natural values.
        config: Fixed options of the source; None if they are not known.
        spec: The study, its space set.
    Raises:
        Misfit: The study could not have proposed it.
    """
    if spec.space is None:
        raise Misfit("the study has no search space")
    own = spec.objective.config
    moved = {name: value for name, value in (config or {}).items() if name in spec.space}
    kept = {name: value for name, value in params.items() if name in spec.space}
    for name, value in params.items():
        if name not in spec.space and name not in own:
            raise Misfit(f"params.{name}: received {shown(value)!r}, but this study neither searches nor fixes {name}")
        if name not in spec.space and not _is_same(own[name], value):
            raise Misfit(f"params.{name}: received {shown(value)!r}, but this study fixes {name} at {own[name]!r}")
    for name, value in own.items():
        if config is not None and name not in config and name not in params:
            raise Misfit(f"params.{name}: received nothing, but this study fixes {name} at {shown(value)!r}")
    try:
        return spec.space.check({**moved, **kept})
    except InvalidRequest as error:
        first = error.errors[0]
        raise Misfit(f"{first.field}: received {first.received!r}, expected {first.expected}") from None


def key(params: Mapping[str, Any]) -> frozenset[tuple[str, bool, Any]]:
    """What two configurations have in common exactly if they are the same."""
    # In Python True == 1; as choices they are two.
    return frozenset((name, isinstance(value, bool), value) for name, value in params.items())


def _is_same(a: object, b: object) -> bool:
    return a == b and isinstance(a, bool) is isinstance(b, bool)
