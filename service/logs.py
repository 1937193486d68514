"""Structured logs on standard error: each line tells for which request it was written, and none tells a secret."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

from caviar.redaction import redact
from caviar.showing import show
from service.domain.occasion import CURRENT


def configure(
    level: Literal["debug", "info", "warning", "error"],
    style: Literal["auto", "json", "console"],
    *,
    process: int | None = None,
) -> None:
    """Send structlog's and the standard library's records to standard error in one form.

    Args:
        level: Least severity that is logged.
        style: Lines for machines or for people; `auto` is `console` on a terminal.
        process: Which of several processes this is; each line tells it.
    """
    is_console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_occasion,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # As text from here on: a console would print the variables of every frame, secrets among them.
        structlog.processors.format_exc_info,
    ]
    if process is not None:
        shared.insert(0, _telling(process))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    # JSON writes everything but plain letters as an escape by itself.
    rendering: list[structlog.types.Processor] = (
        [show, structlog.dev.ConsoleRenderer()] if is_console else [structlog.processors.JSONRenderer()]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, *rendering],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # A line per request would cost a quarter of the throughput.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _telling(process: int) -> structlog.types.Processor:
    def tell(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    return tell


def add_occasion(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Tell for which request a line is written; what the line says itself counts more."""
    occasion = CURRENT.get()
    return event if occasion is None else {**occasion.facts(), **event}
