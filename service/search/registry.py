"""Samplers and pruners by the names that studies call them: one line per entry."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import ValidationError

from caviar.contract.errors import FieldError, InvalidRequest, field_errors
from caviar.contract.model import Model
from caviar.contract.space import Space
from caviar.contract.study import Plugin, StudySpec
from service.search.pruner import Pruner
from service.search.pruners.asha import AshaPruner
from service.search.pruners.hyperband import HyperbandPruner
from service.search.pruners.median import MedianPruner
from service.search.pruners.none import NoPruner
from service.search.pruners.patient import PatientPruner
from service.search.pruners.percentile import PercentilePruner
from service.search.pruners.threshold import ThresholdPruner
from service.search.pruners.wilcoxon import WilcoxonPruner
from service.search.sampler import Sampler
from service.search.samplers.auto import AutoSampler
from service.search.samplers.cma_es import CmaEsSampler
from service.search.samplers.coarse_to_fine import CoarseToFineSampler
from service.search.samplers.gp import GpSampler
from service.search.samplers.grid import GridSampler
from service.search.samplers.quasi_random import QuasiRandomSampler
from service.search.samplers.random import RandomSampler
from service.search.samplers.tpe import TpeSampler

AnyModel = TypeVar("AnyModel", bound=Model)

SAMPLERS: dict[str, type[Any]] = {
    sampler.kind: sampler
    for sampler in (
        CoarseToFineSampler,
        RandomSampler,
        QuasiRandomSampler,
        GridSampler,
        TpeSampler,
        GpSampler,
        CmaEsSampler,
        AutoSampler,
    )
}
"""Samplers by kind."""

PRUNERS: dict[str, type[Any]] = {
    pruner.kind: pruner
    for pruner in (
        NoPruner,
        AshaPruner,
        HyperbandPruner,
        MedianPruner,
        PercentilePruner,
        PatientPruner,
        ThresholdPruner,
        WilcoxonPruner,
    )
}
"""Pruners by kind."""


@runtime_checkable
class _Finite(Protocol):
    """A sampler that proposes part of a space only."""

    def num_configurations(self, space: Space) -> int: ...


def build_sampler(spec: StudySpec) -> Sampler:
    """The sampler that a study asks for.

    Raises:
        InvalidRequest: Its kind or an option is unknown, or an option is out of range or does not fit the space; fields
            begin with `strategy`.
    """
    sampler: Sampler = _build(SAMPLERS, spec.strategy, "strategy")
    if spec.space is not None:
        num_configurations(sampler, spec.space)
    return sampler


def num_configurations(sampler: Sampler, space: Space) -> int | None:
    """How many distinct configurations a sampler can propose; None for no limit.

    Raises:
        InvalidRequest: The sampler's options do not fit the space, or make it too large; fields begin with `strategy`.
    """
    return sampler.num_configurations(space) if isinstance(sampler, _Finite) else space.num_configurations


def build_pruner(spec: StudySpec) -> Pruner:
    """The pruner that a study asks for.

    Raises:
        InvalidRequest: Its kind or an option is unknown, or an option is out of range; fields begin with `pruner`.
    """
    return _build_pruner(PRUNERS, spec.pruner, "pruner")


def _build_pruner(entries: Mapping[str, type[Any]], plugin: Plugin, field: str) -> Pruner:
    if plugin.kind != PatientPruner.kind or plugin.kind not in entries:
        pruner: Pruner = _build(entries, plugin, field)
        return pruner
    options = _options(PatientPruner.Options, plugin, field)
    # Patience within patience would be as good as the longer of the two.
    others = {kind: entry for kind, entry in entries.items() if entry is not PatientPruner}
    wrapped = None if options.wrapped is None else _build_pruner(others, options.wrapped, f"{field}.wrapped")
    return PatientPruner(options, wrapped)


def _build(entries: Mapping[str, type[Any]], plugin: Plugin, field: str) -> Any:
    if plugin.kind not in entries:
        expected = f"one of {', '.join(sorted(entries))}{_suggestion(plugin.kind, entries)}"
        raise InvalidRequest(
            f"unknown {field} {plugin.kind!r}",
            errors=[FieldError(field=f"{field}.kind", received=plugin.kind, expected=expected)],
        )
    build = entries[plugin.kind]
    return build(_options(build.Options, plugin, field))


def _options(model: type[AnyModel], plugin: Plugin, field: str) -> AnyModel:
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
