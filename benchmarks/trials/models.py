"""The models of small trials, which every system under comparison trains: an MLP on scikit-learn's digits."""

from __future__ import annotations

from typing import Any

CONFIG: dict[str, Any] = {"dataset": "digits", "optimizer": "adamw", "batch_size": 32}
"""What all trials have in common, as options of the objective `mlp`."""

FIXED_SIZES: dict[str, Any] = {"units_1": 64, "units_2": 32}

NUMBERS: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"},
    "beta_1": {"type": "float", "low": 0.8, "high": 0.99, "scale": "reverse_log"},
    "dropout": {"type": "float", "low": 0.05, "high": 0.5},
}
"""A space of one architecture."""

SIZES: dict[str, dict[str, Any]] = {
    "units_1": {"type": "int", "low": 32, "high": 128},
    "units_2": {"type": "int", "low": 16, "high": 64},
}
"""Beside `NUMBERS`: a space in which nearly every trial has another architecture."""


def config(*, is_varied: bool) -> dict[str, Any]:
    """The options that are not searched."""
    return CONFIG if is_varied else CONFIG | FIXED_SIZES


def space(*, is_varied: bool) -> dict[str, dict[str, Any]]:
    """The search space.

    Args:
        is_varied: Whether every trial has another architecture.
    """
    return NUMBERS | SIZES if is_varied else NUMBERS
