"""Objectives by name: the built-in ones, and those of an operator's files and modules.

Importing this module loads neither Keras nor NumPy, so a process that only starts others stays light.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from caviar.contract.errors import field_errors
from caviar.contract.messages import OfferedObjective
from caviar.contract.objectives import BUILT_IN
from caviar.contract.space import Space
from caviar.contract.study import Metric
from worker.objectives import function, hypermodel, tuner_data
from worker.objectives.errors import Infeasible, LoadError
from worker.objectives.function import FunctionObjective
from worker.objectives.hypermodel import TunerObjective, TunerTrial
from worker.objectives.importing import divide, import_place
from worker.objectives.mlp import MlpObjective
from worker.objectives.protocol import Objective, Params

Target = type[Objective] | FunctionObjective | TunerObjective
"""Something that can be trained: a class with `build` and `data`, a function, or what was written for KerasTuner."""

BUILTIN: dict[str, Target] = {"mlp": MlpObjective}
"""The objectives that every worker offers."""

_METHODS = ("build", "data")
_SHAPES = (
    "a class with the methods build(self, params) and data(self, params), a function train(trial), a function "
    "build_model(hp), or a subclass of keras_tuner.HyperModel"
)
_GIVEN = ("config", "data_dir", "data_seed", "metric", "max_epochs")
_RESERVED = frozenset({"x", "y", "epochs", "initial_epoch", "validation_data", "validation_split", "verbose"})


def load(spec: str) -> dict[str, Target]:
    """Load the objectives of a file or module.

    Args:
        spec: `path/to/file.py` or `package.module`, each with `:name` for one class or function only. The folder of the
            file, or the working directory for a module, is put on Python's path, as for `python file.py`.
    Returns:
        Classes, functions and the like by the names that studies know them by.
    Raises:
        LoadError: There is no such file, module or name, or what is there is not of the right shape.
    """
    place = divide(spec)
    module = import_place(place)
    found: dict[str, Target] = {}
    for target in [_named(module, place.module, place.name)] if place.name else _candidates(module):
        name = _name(target)
        if name in found:
            raise LoadError(f"{place.module} has two objectives of name {name!r}; give one of them another `name`")
        found[name] = target
    if not found:
        raise LoadError(f"{place.module} has no objective, expected {_SHAPES}")
    return found


def load_all(specs: list[str]) -> dict[str, Target]:
    """The built-in objectives and those of all given files and modules.

    Raises:
        LoadError: One cannot be loaded, or two have the same name.
    """
    found = dict(BUILTIN)
    for spec in specs:
        add(found, spec, load(spec))
    return found


def add(found: dict[str, Target], spec: str, more: Mapping[str, Target]) -> None:
    """Add the objectives of a file or module to others.

    Raises:
        LoadError: There is one of that name already.
    """
    for name in more:
        if name in found:
            raise LoadError(
                f"{spec} offers objective {name!r}, which another one offers already; give it another `name`"
            )
    found.update(more)


def offer(name: str, target: Target, *, should_read: bool = True) -> OfferedObjective:
    """How a worker presents an objective to the service.

    Args:
        name: Its name in studies.
        target: The objective.
        should_read: Whether to read the space of what was written for KerasTuner, by running it; it takes seconds.
    Raises:
        LoadError: The space cannot be read.
    """
    if name in BUILT_IN:
        return OfferedObjective(name=name, space=BUILT_IN[name].space)
    if isinstance(target, TunerObjective) and getattr(target.origin, "space", None) is None:
        from worker.objectives import hyperreading

        if not should_read:
            return OfferedObjective(name=name)
        return OfferedObjective(name=name, space=_checked_space(name, name, hyperreading.read(target)))
    origin = target.origin if isinstance(target, TunerObjective) else target
    return OfferedObjective(name=name, space=_checked_space(name, name, getattr(origin, "space", None)))


def instantiate(
    target: Target,
    *,
    config: Mapping[str, Any],
    data_dir: Path | None,
    data_seed: int,
    metric: Metric,
    max_epochs: int | None = None,
) -> Objective | TunerTrial:
    """Make an objective for one trial; a constructor gets those arguments that it declares.

    Args:
        target: What `load` or `BUILTIN` gave; no function of `trial`, which is called instead.
        config: Fixed options of the study.
        data_dir: Folder of the files that studies may name.
        data_seed: Seed of the split of the data.
        metric: What the study compares.
        max_epochs: Last epoch of the trial.
    Raises:
        Infeasible: The study gives a config to an objective that takes none, or not this one.
    """
    known: dict[str, Any] = {
        "config": dict(config),
        "data_dir": data_dir,
        "data_seed": data_seed,
        "metric": metric,
        "max_epochs": max_epochs,
    }
    if isinstance(target, TunerObjective):
        return target.for_trial(**known)
    if isinstance(target, FunctionObjective):
        raise TypeError(f"received the function {target.name}, expected an objective that builds a model")
    declared = inspect.signature(target).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in declared):
        names = {parameter.name for parameter in declared}
        if config and "config" not in names:
            raise Infeasible(
                f"received the config {dict(config)}, but {target.__name__} takes none; declare `config` in "
                "its constructor, or leave the config out of the study"
            )
        known = {name: value for name, value in known.items() if name in names}
    return target(**known)


def fit_options(objective: Objective, params: Params) -> dict[str, Any]:
    """The further arguments of `fit` for a configuration; empty if the class has no `fit_options`.

    Raises:
        LoadError: It gives arguments that belong to the worker.
    """
    method = getattr(objective, "fit_options", None)
    options = dict(method(params)) if method is not None else {}
    taken = sorted(_RESERVED & options.keys())
    if taken:
        raise LoadError(
            f"fit_options of {type(objective).__name__} gives {', '.join(taken)}, which the worker sets "
            "itself; leave them out"
        )
    return options


def _named(module: ModuleType, place: str, name: str) -> Target:
    value = getattr(module, name, None)
    if inspect.isfunction(value):
        is_tuned = function.require_one_parameter(name, value) == hypermodel.PARAMETER
        return _tuned(module, name, value) if is_tuned else _function(value)
    if hypermodel.is_hypermodel(value) or hypermodel.is_hypermodel(type(value)):
        return _tuned(module, name, value)
    if inspect.isclass(value):
        return _checked_class(value)
    listed = ", ".join(sorted(_name(target) for target in _candidates(module))) or "no objective at all"
    raise LoadError(f"{place} has no class or function {name}, but {listed}")


def _candidates(module: ModuleType) -> list[Target]:
    seen: set[int] = set()
    found: list[Target] = []
    for name, value in vars(module).items():
        if not name.startswith("_") and id(value) not in seen:
            seen.add(id(value))
            found.extend(_recognised(module, name, value))
    return found


def _recognised(module: ModuleType, name: str, value: Any) -> Iterator[Target]:
    """The objective that a value of a module is, if it is one that was written there."""
    if hypermodel.is_hypermodel(type(value)):
        yield _tuned(module, name, value)
    elif getattr(value, "__module__", None) != module.__name__:
        return
    elif hypermodel.is_hypermodel(value):
        # One that is made with arguments is offered as it was made.
        if not any(isinstance(other, value) for other in vars(module).values()):
            yield _tuned(module, name, value)
    elif inspect.isclass(value):
        if all(callable(getattr(value, method, None)) for method in _METHODS):
            yield _checked_class(value)
    elif function.only_parameter(value) == function.PARAMETER:
        yield _function(value)
    elif function.only_parameter(value) == hypermodel.PARAMETER:
        yield _tuned(module, name, value)


def _function(value: Any) -> FunctionObjective:
    name = getattr(value, "name", value.__name__)
    return FunctionObjective(str(name), value, _checked_space(value.__name__, name, getattr(value, "space", None)))


def _tuned(module: ModuleType, variable: str, value: Any) -> TunerObjective:
    own_name = getattr(value, "name", None)
    if inspect.isclass(value):
        _check_constructor(value, ())
    data = getattr(module, "data", None)
    if not inspect.isfunction(data):
        data = None
    else:
        tuner_data.check(data)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        name = own_name if isinstance(own_name, str) else variable
    else:
        name = value.__name__ if own_name is None else own_name
    _checked_space(variable, name, getattr(value, "space", None))
    return TunerObjective(name, value, data)


def _checked_class(cls: type[Any]) -> type[Objective]:
    missing = [method for method in _METHODS if not callable(getattr(cls, method, None))]
    if missing:
        raise LoadError(f"{cls.__name__} has no {' and no '.join(missing)}, expected {_SHAPES}")
    _checked_space(cls.__name__, getattr(cls, "name", cls.__name__), getattr(cls, "space", None))
    _check_constructor(cls, _GIVEN)
    return cls


def _check_constructor(cls: type[Any], given: tuple[str, ...]) -> None:
    for parameter in inspect.signature(cls).parameters.values():
        is_required = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if parameter.kind is parameter.POSITIONAL_ONLY or (is_required and parameter.name not in given):
            names = f"only keywords out of {', '.join(given)}, or a default" if given else (
                "none without a default, or an instance of it in the file"
            )  # fmt: skip
            raise LoadError(f"the constructor of {cls.__name__} wants {parameter.name!r}, expected {names}")


def _name(target: Target) -> str:
    name = getattr(target, "name", None)
    if name is None and inspect.isclass(target):
        name = target.__name__
    if name in BUILTIN:
        owner = getattr(target, "__name__", name)
        raise LoadError(f"{owner} is named {name!r} like a built-in objective; give it another `name`")
    return str(name)


def _checked_space(owner: str, name: object, space: object) -> Space | None:
    try:
        raw = space.model_dump() if isinstance(space, Space) else space
        return OfferedObjective.model_validate({"name": name, "space": raw}).space
    except ValidationError as error:
        refused = "; ".join(
            f"{e.field}: received {e.received!r}, expected {e.expected}"
            for e in field_errors(error, {"name": name, "space": space})
        )
        raise LoadError(f"name or space of {owner} is not valid: {refused}") from None
