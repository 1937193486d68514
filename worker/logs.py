"""Structured logs: lines for people on a terminal, JSON for programs elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
from contextlib import AbstractContextManager
from typing import TextIO, cast

import structlog

from caviar.contract.messages import Assignment
from caviar.showing import show


def configure(level: str, worker: str) -> None:
    """Set up the logs of this process, on its standard error.

    Args:
        level: Least severity, such as `info`.
        worker: Name that every line carries.
    """
    is_terminal = sys.stderr.isatty()
    # JSON writes everything but plain letters as an escape by itself.
    rendering: list[structlog.typing.Processor] = (
        [show, structlog.dev.ConsoleRenderer()] if is_terminal else [structlog.processors.JSONRenderer(sort_keys=True)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(steady(sys.stderr)),
        cache_logger_on_first_use=False,
    )
    # Threads begin with empty contexts, so the name travels with the configuration.
    structlog.configure(processors=[_Bind(worker), *structlog.get_config()["processors"]])


def naming(assignment: Assignment | None) -> AbstractContextManager[None]:
    """While it lasts, every line of this thread names a trial: its study, its numbers and its attempt.

    Args:
        assignment: The trial; None for none.
    """
    if assignment is None:
        return contextlib.nullcontext()
    return structlog.contextvars.bound_contextvars(
        study=assignment.study,
        trial_id=assignment.trial_id,
        number=assignment.number,
        attempt=assignment.attempt,
    )


def steady(stream: TextIO) -> TextIO:
    """A stream like this one whose writes never fail: on a full disk the words are lost, and nothing else."""
    return cast(TextIO, _Steady(stream))


class _Steady:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _Bind:
    def __init__(self, worker: str) -> None:
        self._worker = worker

    def __call__(self, _logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("worker", self._worker)
        return event
