"""Samplers and pruners by the names that studies call them: one line per entry."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from caviar.contract.errors import FieldError, InvalidRequest, field_errors
from caviar.contract.model import Model
from caviar.contract.study import Plugin, StudySpec
from service.search.pruner import Pruner
from service.search.pruners.asha import AshaPruner
from service.search.pruners.median import MedianPruner
from service.search.pruners.none import NoPruner
from service.search.sampler import Sampler
from service.search.samplers.coarse_to_fine import CoarseToFineSampler
from service.search.samplers.random import RandomSampler
from service.search.samplers.tpe import TpeSampler

SAMPLERS: dict[str, type[Any]] = {
    sampler.kind: sampler
    for sampler in (
        RandomSampler,
        CoarseToFineSampler,
        TpeSampler,
    )
}
"""Samplers by kind."""

PRUNERS: dict[str, type[Any]] = {
    pruner.kind: pruner
    for pruner in (
        NoPruner,
        MedianPruner,
        AshaPruner,
    )
}
"""Pruners by kind."""


def build_sampler(spec: StudySpec) -> Sampler:
    """The sampler that a study asks for.

    Raises:
        InvalidRequest: Its kind or an option is unknown, or an option is out of range; fields begin with `strategy`.
    """
    sampler: Sampler = _build(SAMPLERS, spec.strategy, "strategy")
    return sampler


def build_pruner(spec: StudySpec) -> Pruner:
    """The pruner that a study asks for.

    Raises:
        InvalidRequest: Its kind or an option is unknown, or an option is out of range; fields begin with `pruner`.
    """
    pruner: Pruner = _build(PRUNERS, spec.pruner, "pruner")
    return pruner


def _build(entries: Mapping[str, type[Any]], plugin: Plugin, field: str) -> Any:
    if plugin.kind not in entries:
        expected = f"one of {', '.join(sorted(entries))}{_suggestion(plugin.kind, entries)}"
        raise InvalidRequest(
            f"unknown {field} {plugin.kind!r}",
            errors=[FieldError(field=f"{field}.kind", received=plugin.kind, expected=expected)],
        )
    build = entries[plugin.kind]
    return build(_options(build.Options, plugin, field))


def _options(model: type[Model], plugin: Plugin, field: str) -> Model:
    try:
        return model.model_validate(plugin.options)
    except ValidationError as error:
        errors = field_errors(error, plugin.options, prefix=field)
        known = list(model.model_fields)
        errors = [_unknown_option(entry, plugin.kind, known, field) for entry in errors]
        detail = f"{len(errors)} option(s) of {field} {plugin.kind!r} were refused"
        raise InvalidRequest(detail, errors=errors) from None


def _unknown_option(entry: FieldError, kind: str, known: list[str], field: str) -> FieldError:
    name = entry.field.removeprefix(f"{field}.")
    if name in known or "." in name:
        return entry
    accepted = f"an option of {kind}: {', '.join(known)}" if known else f"nothing: {kind} has no options"
    return entry.model_copy(update={"expected": accepted + _suggestion(name, known)})


def _suggestion(name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
