"""Clearing away what is older than its operator wants to keep it; results, curves and weights are always kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from service.store import old_rows
from service.store.transaction import Transaction
from service.use_cases import auditing

_PORTION = 500


class Kept(StrEnum):
    """What is kept for a while.

    Attributes:
        EVENTS: Change feeds, from the end of their studies and the last that happened in them.
        WORKERS: Workers that hold no trial, from their last sign of life.
        AUDIT: Entries of the audit log.
        LOGS: The last lines of each attempt, from its end.
        SESSIONS: Sessions of browsers, from the time that they are no longer valid.
        TOKENS: Tokens and share links, from the time that they are no longer valid.
    """

    EVENTS = "events"
    WORKERS = "workers"
    AUDIT = "audit"
    LOGS = "logs"
    SESSIONS = "sessions"
    TOKENS = "tokens"


_REMOVE: Mapping[Kept, Callable[[Transaction, datetime, int], int]] = {
    Kept.EVENTS: old_rows.remove_events,
    Kept.WORKERS: old_rows.remove_workers,
    Kept.AUDIT: auditing.remove_old,
    Kept.LOGS: old_rows.remove_log_tails,
    Kept.SESSIONS: old_rows.remove_sessions,
    Kept.TOKENS: old_rows.remove_tokens,
}


def clear(tx: Transaction, kept: Kept, term: timedelta) -> int:
    """Remove a portion of what is older than a term; small, so that it holds up nobody.

    Returns:
        How many rows; 0 means that nothing is left to do.
    """
    return _REMOVE[kept](tx, tx.now - term, _PORTION)
