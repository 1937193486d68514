"""The real service, with a clock that can be moved."""

from __future__ import annotations

from pathlib import Path

from service.app import run
from service.settings import ServiceSettings
from tests.chaos.clock import MovableClock


def serve(clock: Path) -> int:
    """Serve until SIGTERM; settings are variables of the environment.

    Args:
        clock: File of its clock.
    """
    return run(ServiceSettings(), clock=MovableClock(clock))
