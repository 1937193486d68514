"""For whose sake the work at hand is done: what log lines and problem bodies tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol


class Occasion(Protocol):
    """A request, or whatever else work is done for.

    It is asked only when something is told, so that it costs a request hardly anything.
    """

    @property
    def request_id(self) -> str:
        """What the one who asked may quote, and what log lines are found by."""

    def facts(self) -> Mapping[str, object]:
        """What is known of it by now, by name, its id included."""


CURRENT: ContextVar[Occasion | None] = ContextVar("occasion", default=None)
"""Of this task or thread; threads that `asyncio.to_thread` starts and operations of the writer inherit it."""
