"""Which workers may train which studies: a pure function of what both have said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from caviar.contract.study import Requires

_KINDS: Mapping[str | None, frozenset[str]] = {
    "gpu": frozenset({"gpu", "mig"}),
    "cpu": frozenset({"cpu"}),
    None: frozenset({"gpu", "mig", "cpu"}),
}
"""Kinds of devices by what a study requires; a slice of a GPU counts as one."""


def meets(requires: Requires, *, labels: Mapping[str, str], devices: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a worker has what a study requires.

    Args:
        requires: Of the study.
        labels: What the operator says of the worker.
        devices: What the worker trains on, as it told last. What it did not tell, such as the memory of a device, it
            does not have.
    """
    if any(labels.get(name) != value for name, value in requires.labels.items()):
        return False
    if requires.device is None and requires.memory_bytes is None:
        return True
    fitting = [device for device in devices if device.get("kind") in _KINDS[requires.device]]
    if requires.memory_bytes is None:
        return bool(fitting)
    return max((device.get("memory_total_bytes") or 0 for device in fitting), default=0) >= requires.memory_bytes
