"""The inputs of the form that hold one value each, under the paths of a study's body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.web.forms import values


@dataclass(frozen=True, slots=True)
class Input:
    """How a value is typed.

    Attributes:
        read: Text to value; raises `Unreadable`.
        write: Value to text.
        may_be_empty: Whether an empty input stands for null.
    """

    read: Callable[[str], Any]
    write: Callable[[Any], str]
    may_be_empty: bool = False


def _mark(text: str) -> bool:
    return bool(text)


_TEXT = Input(values.plain, str)
_TEXT_OR_NONE = Input(values.plain, str, may_be_empty=True)
_WHOLE = Input(values.whole, str)
_WHOLE_OR_NONE = Input(values.whole, str, may_be_empty=True)
_NUMBER = Input(values.number, values.short)
_NUMBER_OR_NONE = Input(values.number, values.short, may_be_empty=True)
_DURATION = Input(values.duration, values.written_duration, may_be_empty=True)
_MEMORY = Input(values.memory, values.written_memory, may_be_empty=True)
_MARK = Input(_mark, lambda is_set: "true" if is_set else "")

INPUTS: Mapping[str, Input] = {
    "name": _TEXT,
    "objective.name": _TEXT,
    "metric.name": _TEXT,
    "metric.direction": _TEXT,
    "early_stopping.monitor": _TEXT_OR_NONE,
    "early_stopping.min_delta": _NUMBER,
    "early_stopping.patience": _WHOLE,
    "early_stopping.mode": _TEXT,
    "early_stopping.baseline": _NUMBER_OR_NONE,
    "early_stopping.restore_best_weights": _MARK,
    "early_stopping.start_from_epoch": _WHOLE,
    "budget.max_trials": _WHOLE_OR_NONE,
    "budget.max_epochs": _WHOLE,
    "budget.max_total_epochs": _WHOLE_OR_NONE,
    "budget.max_seconds": _DURATION,
    "budget.max_trial_seconds": _DURATION,
    "budget.max_parallel": _WHOLE_OR_NONE,
    "budget.max_stagnant_trials": _WHOLE_OR_NONE,
    "budget.target": _NUMBER_OR_NONE,
    "retries": _WHOLE,
    "seed": _WHOLE,
    "priority": _WHOLE,
    "checkpoints.every_epochs": _WHOLE_OR_NONE,
    "checkpoints.every_s": _DURATION,
    "checkpoints.keep_best": _WHOLE,
    "requires.device": _TEXT_OR_NONE,
    "requires.memory_bytes": _MEMORY,
}
"""Inputs by path; seeds, limits and the like."""

STOPS_EARLY = "early_stopping"
"""The tick whether trials stop by their own curve."""

WARM_START = "warm_start"
"""Names of studies, between commas."""

PASTED = "pasted"
"""The text of a study, to fill the form from."""

DO = "do"
"""What the pressed button does."""
