"""Objectives that are a function: `train(trial)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from caviar.contract.space import Space
from worker.objectives.errors import LoadError

PARAMETER = "trial"
"""Name of the one parameter by which such a function is known."""


@dataclass(frozen=True)
class FunctionObjective:
    """A function that trains one trial in whatever framework it likes.

    Attributes:
        name: Its name in studies.
        function: Takes a `worker.forms.trial.Trial`.
        space: For studies that give none.
    """

    name: str
    function: Callable[[Any], object]
    space: Space | None


def only_parameter(value: object) -> str | None:
    """The name of the only parameter that a function wants; None if it wants none or several, or is no function."""
    if not inspect.isfunction(value):
        return None
    parameters = list(inspect.signature(value).parameters.values())
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [one for one in parameters if one.default is one.empty and one.kind not in optional]
    is_one = len(wanted) == 1 and wanted[0].kind is not inspect.Parameter.KEYWORD_ONLY
    return wanted[0].name if is_one else None


def require_one_parameter(name: str, value: object) -> str:
    """The name of the only parameter of a function that the operator has named.

    Raises:
        LoadError: It takes none or several.
    """
    found = only_parameter(value)
    if found is None:
        raise LoadError(
            f"{name}{inspect.signature(value)} cannot be called with one argument, "  # type: ignore[arg-type] # a function
            f"expected {name}({PARAMETER}), or {name}(hp) that returns a compiled Keras model"
        )
    return found
