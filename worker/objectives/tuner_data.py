"""The data of objectives written for KerasTuner: a function of the same file, or what the study's config names."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from caviar.contract.data import DataOptions, LabelsName
from worker.objectives.errors import Infeasible, LoadError
from worker.objectives.protocol import Params

Load = Callable[[Params, Callable[[], Any]], Any]

_GIVEN = ("params", "config", "data_dir", "data_seed", "metric", "max_epochs")


class TunerOptions(DataOptions):
    """Config of a study whose objective was written for KerasTuner and has no `data` function.

    Attributes:
        image_shape: Shape of one row, such as `[28, 28, 1]`; None to lay rows flat.
        batch_size: Rows per step; None for Keras's 32.
    """

    image_shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=4)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None


def check(function: Callable[..., Any]) -> None:
    """Refuse a `data` function that wants what there is not.

    Raises:
        LoadError: It does.
    """
    for parameter in inspect.signature(function).parameters.values():
        is_required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if parameter.kind is parameter.POSITIONAL_ONLY or (is_required and parameter.name not in _GIVEN):
            raise LoadError(
                f"the function data wants {parameter.name!r}, expected only names out of {', '.join(_GIVEN)}, or a "
                "default"
            )


def own(function: Callable[..., Any], known: Mapping[str, Any]) -> Load:
    """The user's function, called with those of the known values that it declares.

    Args:
        function: Has passed `check`.
        known: All but `params`.
    Raises:
        Infeasible: The study gives a config to a function that takes none.
    """
    names = inspect.signature(function).parameters.keys()
    if known["config"] and "config" not in names:
        raise Infeasible(
            f"received the config {known['config']}, but the function data takes none; declare `config` as a parameter "
            "of it, or leave the config out of the study"
        )

    def load(params: Params, build: Callable[[], Any]) -> Any:
        return function(**{name: value for name, value in {**known, "params": dict(params)}.items() if name in names})

    return load


def built_in(options: TunerOptions, *, data_dir: Path | None, data_seed: int) -> Load:
    """The data that a config names, with labels as the loss of the model wants them.

    Raises:
        Infeasible: It names none.
    """
    if options.dataset is None and options.file is None:
        raise Infeasible(
            "received a config with neither dataset nor file, and the objective's file has no function data(); name a "
            "set in the config, or write data() to return the training and the validation set"
        )

    def load(params: Params, build: Callable[[], Any]) -> Any:
        from worker.data import dataset

        wanted = options
        if options.labels == "auto":
            wanted = options.model_copy(update={"labels": _labels(build().loss)})
        found = dataset.load(wanted, data_dir=data_dir, seed=data_seed)
        parts = (found.train, found.validation)
        return tuple((_shaped(found.name, part.x, options.image_shape), part.y) for part in parts)

    return load


def _labels(loss: Any) -> LabelsName:
    """How a Keras loss wants its labels, by its name; `auto` where any will do."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    plain = str(name).replace("_", "").lower()
    if "sparse" in plain:
        return "integer"
    return "one_hot" if "categorical" in plain else "auto"


def _shaped(name: str, x: Any, shape: list[int] | None) -> Any:
    if shape is None:
        return x
    if math.prod(shape) != x.shape[1]:
        raise Infeasible(
            f"image_shape {shape} has {math.prod(shape)} numbers, but a row of {name} has {x.shape[1]}; make them agree"
        )
    return x.reshape(len(x), *shape)
