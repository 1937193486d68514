"""Name a training function and give it a search space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Marked = TypeVar("Marked", bound=Callable[..., Any])


def objective(*, name: str | None = None, space: Mapping[str, Any] | None = None) -> Callable[[Marked], Marked]:
    """Say how studies know a function of a worker's file, and what a study searches that gives no space.

    ```python
    @caviar.objective(name="digits-numpy", space={"learning_rate": {"type": "float", "low": 0.01, "high": 1.0}})
    def train(trial): ...
    ```

    The function itself stays as it is; the same is to set its attributes `name` and `space`.

    Args:
        name: In studies; None for the name of the function.
        space: As in a study file; None for none.
    """

    def mark(function: Marked) -> Marked:
        for attribute, value in (("name", name), ("space", space)):
            if value is not None:
                setattr(function, attribute, value)
        return function

    return mark
