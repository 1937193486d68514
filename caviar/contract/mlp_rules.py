"""What a study with objective `mlp` is checked for when it is submitted, and a configuration before it is trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from caviar.contract.data import DATASET_NAMES, DATASETS, LabelsName
from caviar.contract.errors import FieldError, InvalidRequest, field_errors, shown
from caviar.contract.losses import LossMismatch, fitting
from caviar.contract.mlp import DEFAULT_SPACE, MlpOptions, advise, is_option
from caviar.contract.space import CategoricalParameter, Space

_CONFIG = "objective.config"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class _Refusal:
    field: str
    expected: str


class _Rule(Protocol):
    def __call__(self, options: MlpOptions) -> _Refusal | None: ...


def _one_source(options: MlpOptions) -> _Refusal | None:
    if options.dataset is None and options.file is None:
        return _Refusal("dataset", f"the data to train on: dataset, one of {', '.join(DATASET_NAMES)}, or file")
    if options.dataset is not None and options.file is not None:
        return _Refusal("file", f"one source of data; leave out file or dataset ({options.dataset})")
    if options.file is not None and not options.file.lower().endswith((".npz", ".csv", ".parquet")):
        return _Refusal("file", "a name that ends in .npz, .csv or .parquet")
    return None


def _rows_left(options: MlpOptions) -> _Refusal | None:
    if options.validation_fraction + options.test_fraction >= 1:
        return _Refusal(
            "validation_fraction",
            f"less than 1 together with test_fraction ({options.test_fraction}), so that rows are left to train on",
        )
    return None


def _one_clipping(options: MlpOptions) -> _Refusal | None:
    given = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(options, name) is not None]
    if len(given) > 1:
        return _Refusal(given[1], f"one kind of clipping; {given[0]} is given too")
    return None


def _one_decay(options: MlpOptions) -> _Refusal | None:
    if options.reduce_lr_on_plateau and (options.learning_rate_schedule != "constant" or options.warmup_epochs > 0):
        return _Refusal(
            "reduce_lr_on_plateau",
            "false with a learning_rate_schedule or warmup_epochs: a rate that "
            "follows a schedule cannot be lowered by hand; leave one of them out",
        )
    return None


def _fitting_loss(options: MlpOptions) -> _Refusal | None:
    labels: LabelsName = options.labels
    facts = DATASETS.get(options.dataset or "")
    num_classes = facts.num_classes if facts else None
    if facts is not None and num_classes is None:
        if labels in ("integer", "one_hot"):
            return _Refusal("labels", f"auto or number; the target of {options.dataset} is a number")
        labels = "number"
    elif facts is not None:
        labels = "integer" if labels == "auto" else labels
    try:
        fitting(labels, None if labels == "number" else num_classes, options.loss, options.output)
    except LossMismatch as mismatch:
        return _Refusal(mismatch.field, mismatch.expected)
    return None


# The options that each rule looks at; where some of them are searched, every choice must be possible with some others.
_RULES: tuple[tuple[_Rule, tuple[str, ...]], ...] = (
    (_one_source, ("dataset", "file")),
    (_rows_left, ("validation_fraction", "test_fraction")),
    (_one_clipping, ("clipnorm", "clipvalue", "global_clipnorm")),
    (_one_decay, ("reduce_lr_on_plateau", "learning_rate_schedule", "warmup_epochs")),
    (_fitting_loss, ("dataset", "labels", "loss", "output")),
)


def parse(values: Mapping[str, Any]) -> MlpOptions:
    """The options of one configuration: the study's config and the trial's parameters together.

    Raises:
        InvalidRequest: An option is unknown or out of range, or two options contradict each other.
    """
    try:
        options = MlpOptions.model_validate(dict(values))
    except ValidationError as error:
        raise InvalidRequest("the options of mlp do not fit", errors=field_errors(error, dict(values))) from None
    refusals = [refused for rule, _ in _RULES if (refused := rule(options))]
    errors = [
        FieldError(field=refused.field, received=shown(getattr(options, refused.field)), expected=refused.expected)
        for refused in refusals
    ]
    if errors:
        raise InvalidRequest("the options of mlp do not go together", errors=errors)
    return options


def check(config: Mapping[str, Any], space: Space | None) -> list[FieldError]:
    """Check the config and the space of a study before it is stored.

    Args:
        config: The fixed options.
        space: The searched options; None for `DEFAULT_SPACE`.
    Returns:
        The refused fields, as paths within the study; empty if all is well.
    """
    searched = DEFAULT_SPACE if space is None else space
    errors = [
        *_check_names(config, searched, is_default=space is None),
        *_check_config(config),
        *_check_space(searched),
    ]
    return errors or list(_check_rules(config, searched))


def _check_names(config: Mapping[str, Any], space: Space, *, is_default: bool) -> Iterator[FieldError]:
    for prefix, names in ((_CONFIG, list(config)), ("space", space.names)):
        for name in names:
            if not is_option(name):
                yield FieldError(
                    field=f"{prefix}.{name}",
                    received=shown(name),
                    expected=f"the name of an option of mlp; {advise(name)}",
                )
    for name in config:
        if name in space:
            fix = "send a space without it" if is_default else "remove it here to search it, or there to fix it"
            whose = "the default space" if is_default else "space"
            yield FieldError(
                field=f"{_CONFIG}.{name}",
                received=shown(config[name]),
                expected=f"no value, because {whose} searches {name} too; {fix}",
            )


def _check_config(config: Mapping[str, Any]) -> list[FieldError]:
    return _refusals({name: value for name, value in config.items() if is_option(name)}, _CONFIG)


def _check_space(space: Space) -> Iterator[FieldError]:
    for name in space.names:
        for place, value in _probes(space, name) if is_option(name) else ():
            for error in _refusals({name: value}, ""):
                yield FieldError(field=f"space.{name}.{place}", received=error.received, expected=error.expected)


def _refusals(values: dict[str, Any], prefix: str) -> list[FieldError]:
    try:
        MlpOptions.model_validate(values)
    except ValidationError as error:
        return field_errors(error, values, prefix=prefix)
    return []


def _probes(space: Space, name: str) -> list[tuple[str, Any]]:
    parameter = space[name]
    if isinstance(parameter, CategoricalParameter):
        return [(f"choices.{position}", choice) for position, choice in enumerate(parameter.choices)]
    return [("low", parameter.low), ("high", parameter.high)]


def _check_rules(config: Mapping[str, Any], space: Space) -> Iterator[FieldError]:
    for rule, names in _RULES:
        fixed = {name: config[name] for name in names if name in config}
        searched = [name for name in names if name in space]
        if not searched:
            refused = rule(MlpOptions.model_construct(**fixed))
            if refused:
                received = shown(config.get(refused.field, "nothing"))
                yield FieldError(field=f"{_CONFIG}.{refused.field}", received=received, expected=refused.expected)
            continue
        yield from _check_combinations(rule, fixed, space, searched)


def _check_combinations(rule: _Rule, fixed: dict[str, Any], space: Space, searched: list[str]) -> Iterator[FieldError]:
    options = [_rule_probes(space, name) for name in searched]
    possible: set[tuple[str, str]] = set()
    reasons: dict[tuple[str, str], _Refusal] = {}
    for combination in itertools.product(*options):
        chosen = {name: value for name, (_, value) in zip(searched, combination, strict=True) if value is not _ABSENT}
        refused = rule(MlpOptions.model_construct(**fixed, **chosen))
        for name, (place, _) in zip(searched, combination, strict=True):
            if refused:
                reasons.setdefault((name, place), refused)
            else:
                possible.add((name, place))
    for name, probes in zip(searched, options, strict=True):
        for place, value in probes:
            if (name, place) not in possible:
                reason = reasons[name, place]
                yield FieldError(
                    field=f"space.{name}.{place}",
                    received=shown(space[name].when if value is _ABSENT else value),
                    expected=f"a value that is possible with the other options; {reason.field}: {reason.expected}",
                )


def _rule_probes(space: Space, name: str) -> list[tuple[str, Any]]:
    # The rules ask of a file only whether there is one, and a space may name a thousand.
    probes = _probes(space, name)[:1] if name == "file" else _probes(space, name)
    return [*probes, ("when", _ABSENT)] if space[name].when else probes
