"""Pieces of Python text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from caviar.contract.study import EarlyStopping, Metric

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Source:
    """What a program is written from.

    Attributes:
        study: Name of the study.
        objective: Name of what it trains.
        config: Its fixed options.
        trial_id: The trial.
        number: Of the trial within its study.
        params: Its parameters.
        metric: Of the study.
        value: Best value of the trial; None without one.
        best_epoch: Epoch of that value.
        max_epochs: Epochs that it may have.
        early_stopping: When it stops before that; None for never.
        seed: Of the trial.
        data_seed: Of the split of the data.
        has_weights: Whether the service keeps the weights of its best epoch.
    """

    study: str
    objective: str
    config: Mapping[str, Any]
    trial_id: int
    number: int
    params: Mapping[str, Any]
    metric: Metric
    value: float | None
    best_epoch: int | None
    max_epochs: int
    early_stopping: EarlyStopping | None
    seed: int
    data_seed: int
    has_weights: bool

    @property
    def weights_name(self) -> str:
        """Name of the file that its weights are downloaded to."""
        return f"trial-{self.trial_id}.weights.h5"

    @property
    def headline(self) -> str:
        """Which trial it is and what it reached."""
        reached = "" if self.value is None else f": {self.metric.name} {self.value:.6g} at epoch {self.best_epoch}"
        return f"Trial {self.number} of the study {self.study}{reached}."


def literal(value: object) -> str:
    """A value as Python text, texts in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def call(function: str, /, *positional: str, **named: str) -> str:
    """A call, on one line if it fits, else with a line per argument.

    Args:
        function: What is called.
        positional: Arguments as Python text.
        named: Further ones by name, as Python text.
    """
    arguments = [*positional, *(f"{key}={value}" for key, value in named.items())]
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    return f"{function}(\n" + "".join(f"{indented(argument)},\n" for argument in arguments) + ")"


def listed(items: list[str]) -> str:
    """A list of pieces of Python text, one per line."""
    return "[\n" + "".join(f"{indented(item)},\n" for item in items) + "]"


def assigned(name: str, values: Mapping[str, Any]) -> str:
    """A dict with a line per entry, assigned to a name."""
    if not values:
        return f"{name} = {{}}"
    return "\n".join(
        [f"{name} = {{", *(f"    {literal(key)}: {literal(value)}," for key, value in values.items()), "}"]
    )


def indented(text: str) -> str:
    """A piece of text, four columns to the right."""
    return textwrap.indent(text, "    ")
