"""What is fuzzed, by name: functions below `inputs`, which are loaded once they are asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

MODULES = {
    "tests.hostile.inputs.contract": ("studies", "messages", "problems", "board_queries", "cursors"),
    "tests.hostile.inputs.spaces": ("spaces", "samplers", "learning_samplers", "scales", "hyperparameters"),
    "tests.hostile.inputs.files": ("study_files", "import_files", "exported_files", "tables"),
    "tests.hostile.inputs.worker_files": ("checkpoints", "archives", "outboxes", "letters"),
    "tests.hostile.inputs.uploads": ("uploads",),
}
"""Modules, with the targets of each."""


def names() -> list[str]:
    """Names of all targets."""
    return [name for targets in MODULES.values() for name in targets]


def load(name: str) -> Callable[[], Any]:
    """A target: a Hypothesis test without a fixture."""
    module = next(module for module, targets in MODULES.items() if name in targets)
    target: Callable[[], Any] = getattr(importlib.import_module(module), name)
    return target


def close() -> None:
    """End what targets have started."""
    uploads = sys.modules.get("tests.hostile.inputs.uploads")
    if uploads is not None:
        uploads.close()
