"""Objectives by name: the built-in ones, and those of an operator's files and modules.

Importing this module loads neither Keras nor NumPy, so a process that only starts others stays light.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from caviar.contract.errors import field_errors
from caviar.contract.messages import OfferedObjective
from caviar.contract.objectives import BUILT_IN
from caviar.contract.space import Space
from caviar.contract.study import Metric
from worker.objectives.errors import Infeasible, LoadError
from worker.objectives.mlp import MlpObjective
from worker.objectives.protocol import Objective, Params

BUILTIN: dict[str, type[Objective]] = {"mlp": MlpObjective}
"""The objectives that every worker offers."""

_METHODS = ("build", "data")
_SHAPE = "a class with the methods build(self, params) and data(self, params)"
_GIVEN = ("config", "data_dir", "data_seed", "metric", "max_epochs")
_RESERVED = frozenset({"x", "y", "epochs", "initial_epoch", "validation_data", "validation_split", "verbose"})


def load(spec: str) -> dict[str, type[Objective]]:
    """Load the objectives of a file or module.

    Args:
        spec: `path/to/file.py` or `package.module`, each with `:ClassName` for one class only. The folder of the file,
            or the working directory for a module, is put on Python's path, as for `python file.py`.
    Returns:
        Classes by the names that studies know them by.
    Raises:
        LoadError: There is no such file, module or class, or a class is not of the right shape.
    """
    place, _, class_name = _divide(spec)
    module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    if class_name:
        if not inspect.isclass(getattr(module, class_name, None)):
            raise LoadError(f"{place} has no class {class_name}, but {_listed(module)}")
        classes = [getattr(module, class_name)]
    else:
        classes = _candidates(module)
        if not classes:
            raise LoadError(f"{place} has no objective, expected {_SHAPE}")
    found: dict[str, type[Objective]] = {}
    for cls in classes:
        name = _checked_name(cls)
        if name in found:
            raise LoadError(f"{place} has two objectives of name {name!r}; give one of them another `name`")
        found[name] = cls
    return found


def load_all(specs: list[str]) -> dict[str, type[Objective]]:
    """The built-in objectives and those of all given files and modules.

    Raises:
        LoadError: One cannot be loaded, or two have the same name.
    """
    found = dict(BUILTIN)
    for spec in specs:
        for name, cls in load(spec).items():
            if name in found:
                raise LoadError(
                    f"{spec} offers objective {name!r}, which another one offers already; give it another `name`"
                )
            found[name] = cls
    return found


def offer(name: str, cls: type[Objective]) -> OfferedObjective:
    """How a worker presents an objective to the service."""
    return OfferedObjective(name=name, space=BUILT_IN[name].space if name in BUILT_IN else _space(name, cls))


def instantiate(
    cls: type[Objective],
    *,
    config: Mapping[str, Any],
    data_dir: Path | None,
    data_seed: int,
    metric: Metric,
    max_epochs: int | None = None,
) -> Objective:
    """Make an objective for one trial; its constructor gets those arguments that it declares.

    Args:
        cls: What `load` or `BUILTIN` gave.
        config: Fixed options of the study.
        data_dir: Folder of the files that studies may name.
        data_seed: Seed of the split of the data.
        metric: What the study compares.
        max_epochs: Last epoch of the trial.
    Raises:
        Infeasible: The study gives a config to a class that takes none.
    """
    known = {
        "config": dict(config),
        "data_dir": data_dir,
        "data_seed": data_seed,
        "metric": metric,
        "max_epochs": max_epochs,
    }
    declared = inspect.signature(cls).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in declared):
        names = {parameter.name for parameter in declared}
        if config and "config" not in names:
            raise Infeasible(
                f"received the config {dict(config)}, but {cls.__name__} takes none; declare `config` in "
                "its constructor, or leave the config out of the study"
            )
        known = {name: value for name, value in known.items() if name in names}
    return cls(**known)


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


def _divide(spec: str) -> tuple[str, str, str]:
    # A colon is part of some paths, so only one in front of a Python name divides.
    before, colon, after = spec.rpartition(":")
    return (before, colon, after) if colon and after.isidentifier() else (spec, "", "")


def _import_file(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise LoadError(f"no file {path}, expected the path of a Python file")
    _put_on_path(path.parent)
    # Two files may have the same name; the folder tells them apart, and a second load finds the first.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"caviar_objectives_{digest}_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    if name in sys.modules:
        return sys.modules[name]
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise LoadError(f"{path} cannot be imported as Python code")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, Exception):
            raise LoadError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
        raise
    return module


def _import_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise LoadError(f"{name!r} is neither the path of a .py file nor the name of a module")
    _put_on_path(Path.cwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise LoadError(f"module {name} cannot be imported: {type(error).__name__}: {error}") from error


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _candidates(module: ModuleType) -> list[type[Any]]:
    return [
        cls
        for name, cls in vars(module).items()
        if inspect.isclass(cls)
        and cls.__module__ == module.__name__
        and not name.startswith("_")
        and all(callable(getattr(cls, method, None)) for method in _METHODS)
    ]


def _listed(module: ModuleType) -> str:
    return ", ".join(cls.__name__ for cls in _candidates(module)) or "no objective at all"


def _checked_name(cls: type[Any]) -> str:
    missing = [method for method in _METHODS if not callable(getattr(cls, method, None))]
    if missing:
        raise LoadError(f"{cls.__name__} has no {' and no '.join(missing)}, expected {_SHAPE}")
    name = getattr(cls, "name", cls.__name__)
    if name in BUILTIN:
        raise LoadError(f"{cls.__name__} is named {name!r} like a built-in objective; give it another `name`")
    _space(name, cls)
    for parameter in inspect.signature(cls).parameters.values():
        is_required = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if parameter.kind is parameter.POSITIONAL_ONLY or (is_required and parameter.name not in _GIVEN):
            raise LoadError(
                f"the constructor of {cls.__name__} wants {parameter.name!r}, expected only keywords out of "
                f"{', '.join(_GIVEN)}, or a default"
            )
    return str(name)


def _space(name: object, cls: type[Any]) -> Space | None:
    space = getattr(cls, "space", None)
    try:
        raw = space.model_dump() if isinstance(space, Space) else space
        return OfferedObjective.model_validate({"name": name, "space": raw}).space
    except ValidationError as error:
        refused = "; ".join(
            f"{e.field}: received {e.received!r}, expected {e.expected}"
            for e in field_errors(error, {"name": name, "space": space})
        )
        raise LoadError(f"name or space of {cls.__name__} is not valid: {refused}") from None
